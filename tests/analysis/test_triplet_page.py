"""The page about triplets: well-formed, self-contained, safe from their texts, and honest about missing pictures."""

from __future__ import annotations

import json
import re
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report.page_reader import Element, read_page
from triplet_files import record, write

from motacli.analysis.duplicates import near_duplicates
from motacli.analysis.triplet_page import render_triplet_page, write_triplet_report
from motacli.analysis.triplet_samples import SHOWN, Shown, find_pictures, missing, with_pictures
from motacli.analysis.triplet_statistics import triplet_statistics

NASTY = """</style></title><script>alert("1")</script> & 'q' &amp; $title ${style} $$ naïve – 赤い猫"""


def page_of(tmp_path: Path, rows: list[dict[str, Any]], images: Path | None = None) -> str:
    shown = Shown(0)
    path = write(tmp_path / "t.jsonl", rows)
    found = triplet_statistics(path, reference={"colour": 1, NASTY: 2}, near=near_duplicates, watch=shown.watch)
    return render_triplet_page(found, with_pictures(shown.chosen(), images), {"command": ["/bin/mota", NASTY]})


def headings(page: Element) -> list[int]:
    return [int(element.tag[1]) for element in page.elements() if re.fullmatch("h[1-6]", element.tag)]


def test_structure(tmp_path: Path) -> None:
    page = read_page(page_of(tmp_path, [record(n, modification_type="colour" if n else "size") for n in range(9)]))
    ids = [element.attrs["id"] for element in page.elements() if "id" in element.attrs]
    assert len(ids) == len(set(ids))
    labels = [element.attrs["aria-labelledby"] for element in page.elements() if "aria-labelledby" in element.attrs]
    assert set(labels) <= set(ids) and len(labels) > 6
    assert headings(page)[0] == 1 and all(below - above <= 1 for above, below in pairwise(headings(page)))
    assert all(table.one("caption").text() for table in page.all("table"))
    assert all(head.attrs["scope"] in ("row", "col") for head in page.all("th"))
    assert all(figure.one("svg").attrs["aria-label"] for figure in page.all("figure", "histogram"))
    assert len(page.all("article", "card")) == 5 and not page.all("img")


def test_it_fetches_nothing_and_texts_stay_texts(tmp_path: Path) -> None:
    texts = ("id", "image", "source_id", "reference_caption", "relative_caption", "target_caption")
    row = record(0, **{key: NASTY for key in (*texts, "modification_type", "context")})
    row["generator"] = {"name": NASTY, "model": NASTY, "prompt_hash": NASTY}
    text = page_of(tmp_path, [row], tmp_path)
    page = read_page(text)
    assert not page.all("script") and len(page.all("style")) == 1 and "://" not in text
    for element in page.elements():
        for name, value in element.attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset"):
                assert value is not None and value.startswith(("data:", "#"))
    card = page.one("article")
    assert card.one("h3").text() == NASTY and [each.text() for each in card.all("dd")] == [NASTY] * 2
    assert card.one("span", "gap").text() == NASTY


def test_pictures_are_inside_and_missing_ones_are_said(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "red").save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"broken")
    page = read_page(page_of(tmp_path, [record(n) for n in range(3)], tmp_path))
    (image,) = page.all("img")
    assert str(image.attrs["src"]).startswith("data:image/jpeg;base64,") and image.attrs["width"] == "160"
    assert len(page.all("span", "gap")) == 2
    assert "1 of these 3 pictures are missing" in page.text()


def test_pictures_outside_of_the_folder_are_not_shown(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    for image in ("../secret.png", str(tmp_path / "secret.png"), "a/../../secret.png"):
        assert missing(with_pictures(_triplets(tmp_path, image), root)) == [image]


def _triplets(tmp_path: Path, image: str) -> list[Any]:
    from motacli.triplets.schema import read_triplets

    return read_triplets(write(tmp_path / "one.jsonl", [record(0, image=image)]))


def test_pictures_of_a_data_set(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "blue").save(tmp_path / "x.png")
    (tmp_path / "x.txt").write_text("a blue square")
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for name in ("x.png", "x.txt"):
            tar.add(tmp_path / name, name)
            (tmp_path / name).unlink()
    for images in (tmp_path / "shard.tar", tmp_path):
        found = find_pictures(images, ["shard/x", "shard/y"])
        assert found["shard/x"].member == "x.png" and not found["shard/y"].path.exists()
        page = read_page(page_of(tmp_path, [record(0, image="shard/x"), record(1, image="shard/y")], images))
        assert len(page.all("img")) == 1 and "1 of these 2 pictures are missing" in page.text()
        (tmp_path / "t.jsonl").unlink()


def test_every_type_is_shown_before_any_is_shown_twice(tmp_path: Path) -> None:
    rows = [record(n, modification_type=f"type {n % 40 if n < 400 else 0}") for n in range(500)]
    shown, path = Shown(0), write(tmp_path / "t.jsonl", rows)
    triplet_statistics(path, watch=shown.watch)
    kinds = [triplet.modification_type for triplet in shown.chosen()]
    assert len(kinds) == len(set(kinds)) == SHOWN and kinds[0] == "type 0"


@pytest.mark.parametrize("name", ["page.html", "folder"])
def test_a_page_or_a_folder(name: str, tmp_path: Path) -> None:
    found = triplet_statistics(write(tmp_path / "t.jsonl", [record(0)]))
    write_triplet_report(tmp_path / name, found, [])
    if name == "page.html":
        assert read_page((tmp_path / name).read_text("utf-8")).one("h1").text() == "Triplets of t.jsonl"
    else:
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            "report.html",
            "statistics.json",
            "provenance.json",
        }
        assert json.loads((tmp_path / name / "statistics.json").read_text())["triplets"] == 1
