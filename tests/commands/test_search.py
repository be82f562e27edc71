"""`mota search` from outside."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_index import TinyIndex, tiny_index

from motacli import Searcher
from motacli.cli import main
from motacli.plugins import PluginHost
from motacli.search.building import index_folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, host: PluginHost, tiny_backbone: Any) -> TinyIndex:
    return tiny_index(tmp_path_factory.mktemp("world"), "circo", host, tiny_backbone)


@pytest.fixture
def mota(world: TinyIndex, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object, code: int = 0) -> tuple[str, str]:
        found = main(["search", str(world.path), *map(str, words)], host=host)
        out, err = capsys.readouterr()
        assert found == code, err
        return out, err

    return run


def test_json_is_what_python_answers(world: TinyIndex, mota: Any, host: PluginHost) -> None:
    with Searcher.open(world.path, host=host) as searcher:
        for query in world.data.unit.queries[:4]:
            path, text = world.file_of(query.reference), query.captions[0]
            wanted = searcher.search(path, text, k=7)
            found = json.loads(mota("--image", path, "--text", text, "-k", 7, "--json")[0])
            assert [(hit["id"], hit["path"], hit["score"]) for hit in found["results"]] == [
                (hit.id, hit.path, hit.score) for hit in wanted.results
            ]
            assert found["query"]["adapter"] == "mota" and found["kind"] == "composed"
            plain = json.loads(mota("--image", path, "--text", text, "-k", 7, "--plain", "--json")[0])
            assert plain["results"] != found["results"] and plain["query"]["adapter"] is None


def test_the_table_and_what_is_said_about_it(world: TinyIndex, mota: Any) -> None:
    reference = world.id_of(world.data.unit.queries[0].reference)
    out, err = mota("--reference", reference, "-k", 3)
    head, *rows = out.splitlines()
    assert head.split() == ["rank", "score", "similarity", "path"] and len(rows) == 3
    assert rows[0].split() == ["1", rows[0].split()[1], "1.00", str(world.pictures / reference)]
    assert f"3 of {len(world.data.unit.images)} pictures, picture alone" in err
    assert "lincir + mota" in mota("--reference", reference, "--text", "is red")[1]
    assert "text alone" in mota("--text", "a red circle")[1]


def test_references_can_be_left_out(world: TinyIndex, mota: Any) -> None:
    query = world.data.unit.queries[0]
    reference, path = world.id_of(query.reference), world.file_of(query.reference)
    for how in (["--reference", reference], ["--image", path], ["--image", os.path.relpath(path)]):
        kept, left = (
            [hit["id"] for hit in json.loads(mota(*how, "-k", 5, "--json", *more)[0])["results"]]
            for more in ([], ["--exclude-reference"])
        )
        assert kept[0] == reference and reference not in left and left[:4] == kept[1:]


def test_several_options_reach_the_searcher(world: TinyIndex, mota: Any, host: PluginHost) -> None:
    one, other = (world.id_of(world.data.unit.queries[number].reference) for number in (0, 1))
    words = ["--reference", one, "--reference", other, "--text", "is red", "--not", "a star", "--alpha", "0.3"]
    out, _ = mota(*words, "--where", "path!=x", "--where", f"id!={one}", "--min-score", "0.5", "-k", 4, "--json")
    with Searcher.open(world.path, host=host) as searcher:
        wanted = searcher.search(
            text="is red",
            negative="a star",
            references=[one, other],
            alpha=0.3,
            where=["path!=x", f"id!={one}"],
            min_score=0.5,
            k=4,
        )
    found = json.loads(out)
    assert [hit["similarity"] for hit in found["results"]] == [hit.similarity for hit in wanted.results]
    assert found["total"] == wanted.total == len(world.data.unit.images) - 1


def test_a_contact_sheet_is_written_once(world: TinyIndex, mota: Any, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    _, err = mota("--text", "a red circle", "-k", 4, "--html", sheet)
    assert sheet.read_text("utf-8").count("<li>") == 4 and f"wrote {sheet}" in err
    assert "exists already" in mota("--text", "a red circle", "--html", sheet, code=1)[1]


def test_pictures_are_drawn_where_asked(mota: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mota("--text", "a red circle", "-k", 2, "--pictures", "sixel")[0].startswith("\x1bPq")
    assert "\x1b" not in mota("--text", "a red circle", "-k", 2, "--pictures", "sixel", "--json")[0]
    monkeypatch.setenv("TERM", "xterm-kitty")
    assert "\x1b" not in mota("--text", "a red circle", "-k", 2)[0]  # no terminal
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: True, raising=False)
    assert mota("--text", "a red circle", "-k", 2)[0].startswith("\x1b_G")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "nothing is asked"),
        (["--text", "a", "--alpha", "0.5"], 2, "--alpha goes between"),
        (["--text", "a", "--alpha", "2"], 2, "--alpha"),
        (["--text", "a", "-k", "0"], 2, "top-k"),
        (["--text", "a", "--where", "colour=red"], 2, "unknown column 'colour'"),
        (["--reference", "nowhere.jpg"], 2, "no picture 'nowhere.jpg'"),
        (["--image", "nowhere.jpg"], 1, "nowhere.jpg"),
        (["--text", "a", "--pictures", "ascii"], 2, "--pictures"),
        (["--text", "a", "--device", "cuda:77"], 2, "cuda:77"),
    ],
)
def test_mistakes_are_told(mota: Any, words: list[str], code: int, said: str) -> None:
    assert said in mota(*words, code=code)[1]


def test_what_is_no_index(host: PluginHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(tmp_path), "--text", "a"], host=host) == 1
    assert "is no index" in capsys.readouterr().err


def test_names_of_files_do_not_steer_the_terminal(
    host: PluginHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "red\x1b[31m\n.png")
    index_folder(tmp_path / "my.mota", tmp_path, host=host)
    assert main(["search", str(tmp_path / "my.mota"), "--text", "a"], host=host) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out and out.endswith("red\\x1b[31m\\n.png\n")
    assert "scores are rough" in err
