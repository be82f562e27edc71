"""The contact sheet: it holds its pictures, shows text as text, and loads nothing."""

from __future__ import annotations

import io
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from picture_folders import draw, draw_all
from PIL import Image

from motacli.errors import MotaError
from motacli.plugins import PluginHost
from motacli.search.building import index_folder
from motacli.search.index import Index
from motacli.search.results import Asked, Background, Hit, SearchResults
from motacli.search.sheet import render_sheet, write_sheet

NASTY = '<script>alert("1")</script> & $title'


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> Any:
    folder = tmp_path_factory.mktemp("sheet")
    draw_all(folder / "pictures", 3)
    draw(folder / "pictures/wide.png", 8, width=700, height=200)
    upright = Image.open(draw(folder / "pictures/turned.jpg", 9, width=60, height=30))
    exif = upright.getexif()
    exif[0x0112] = 6
    upright.save(folder / "pictures/turned.jpg", exif=exif)
    index_folder(folder / "my.mota", folder / "pictures", host=host)
    with Index.open(folder / "my.mota") as opened:
        yield opened


def found(index: Index, **asked: Any) -> SearchResults:
    hits = tuple(Hit(entry.id, entry.path, 3.25, 0.5, {"price": 3.5, "maker": None}) for entry in index.entries)
    return SearchResults(hits, "composed", Asked(**asked), 5, Background(0.1, 0.1, 5, calibrated=False), 1.0)


def test_pictures_are_inside_small_and_upright(index: Index) -> None:
    page = Page(render_sheet(index, found(index, text="but in brass", references=("wide.png",))))
    pictures = {}
    for attrs in page.all("img"):
        head, data = str(attrs["src"]).split(",")
        assert head in ("data:image/png;base64", "data:image/jpeg;base64")
        shown = Image.open(io.BytesIO(b64decode(data)))
        assert (str(shown.width), str(shown.height)) == (attrs["width"], attrs["height"])
        pictures[attrs["alt"]] = shown.size
    assert len(page.all("img")) == 6 and len(page.all("li")) == 5
    assert pictures["wide.png"] == (320, 91) and pictures["turned.jpg"] == (30, 60)
    assert "but in brass" in page.text and "3.2" in page.text and "price3.5" in page.text and "maker" not in page.text


def test_text_stays_text_and_nothing_is_loaded(index: Index) -> None:
    answer = found(index, text=NASTY, negative=NASTY, images=(NASTY,), where=(NASTY,), inversion="lincir")
    answer = replace(answer, results=(replace(answer.results[0], id=NASTY, metadata={NASTY: NASTY}),))
    source = render_sheet(index, answer)
    page = Page(source)
    assert not page.all("script") and source.count("<script") == 0
    assert page.text.count(NASTY) >= 5
    assert {attrs["href"] for attrs in page.all("link")} == {"data:,"}
    assert all(str(attrs["src"]).startswith("data:") for attrs in page.all("img"))
    assert "http://" not in source and "https://" not in source
    policy = next(attrs["content"] for attrs in page.all("meta") if "http-equiv" in attrs)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_a_picture_that_is_gone_is_a_box_with_its_name(index: Index) -> None:
    answer = found(index, text="x")
    answer = replace(answer, results=(replace(answer.results[0], id="gone.jpg"), answer.results[1]))
    page = Page(render_sheet(index, answer))
    boxes = [attrs for attrs in page.all("span") if attrs.get("class") == "gap"]
    assert [box["aria-label"] for box in boxes] == ["gone.jpg, cannot be shown"] and len(page.all("img")) == 1


def test_no_results_say_what_to_do(index: Index) -> None:
    empty = replace(found(index, text="x", min_score=9.0), results=())
    assert "No picture fits. Lower the score" in Page(render_sheet(index, empty)).text
    assert "Lower" not in Page(render_sheet(index, replace(empty, query=Asked(text="x")))).text


def test_nothing_is_overwritten(index: Index, tmp_path: Path) -> None:
    answer = found(index, text="\ud800 half a pair")
    assert b"half a pair" in write_sheet(tmp_path / "sheet.html", index, answer).read_bytes()
    with pytest.raises(MotaError, match="exists already"):
        write_sheet(tmp_path / "sheet.html", index, answer)
