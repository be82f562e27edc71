"""``mota index`` on a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from motacli.cache import build_cache
from motacli.cli import main
from motacli.datasets import open_pictures
from motacli.plugins import PluginHost
from motacli.search.index import Index
from motacli.tiny.make import make_pairs


class Terminal:
    """``mota index`` in a folder."""

    def __init__(self, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
        self._host, self._capsys = host, capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = main(["index", *words], host=self._host)
        return code, *self._capsys.readouterr()

    def json(self, *words: str) -> Any:
        code, out, err = self(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def refused(self, *words: str) -> str:
        code, out, err = self(*words)
        assert code == 2 and not out
        return err


@pytest.fixture
def mota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    monkeypatch.chdir(tmp_path)
    make_pairs(tmp_path / "world", seed=1, count=15)
    return Terminal(host, capsys)


def test_features_of_a_file_are_taken(mota: Terminal, tmp_path: Path, tiny_backbone: Any) -> None:
    build_cache(tmp_path / "f.h5", tiny_backbone, open_pictures(tmp_path / "world"))
    made = mota.json("world", "-o", "my.mota", "--features", "f.h5")
    assert (made["rows"], made["taken"], made["encoded"]) == (15, 15, 0)
    code, _, err = mota("world", "-o", "other.mota", "--features", "f.h5", "--preprocess", "targetpad")
    assert code == 1 and "the features in f.h5 come from another backbone" in err


def test_an_index_is_built_updated_and_told_about(mota: Terminal, tmp_path: Path) -> None:
    made = mota.json("world", "-o", "my.mota", "--inversion", "lincir", "--thumbnails", "16", "--workers", "2")
    assert (made["index"], made["rows"], made["added"], made["encoded"], made["state"]) == ("my.mota", 15, 15, 15, 1)
    (tmp_path / "world/images/broken.png").write_bytes(b"")
    (tmp_path / "world/images/000003.png").unlink()
    code, out, err = mota("--update", "my.mota")
    assert code == 0 and out.split()[:3] == ["index", "rows", "kept"]
    assert "1 pictures could not be read: my.mota/states/000002/errors.jsonl says why" in err
    assert "broken.png" in (tmp_path / "my.mota/states/000002/errors.jsonl").read_text()
    assert mota.json("my.mota", "--update", "--rehash")["kept"] == 14
    assert mota.json("world", "-o", "my.mota", "--update", "--model", "tiny", "--thumbnails", "16")["kept"] == 14
    told = mota.json("--info", "my.mota")
    assert (told["inversion"], told["thumbnails"], told["rows"]) == ("lincir", 16, 14)
    code, out, _ = mota("--info", "my.mota")
    assert code == 0 and "backbone" in out and "lincir" in out


def test_update_with_a_folder_builds_what_is_not_there(mota: Terminal) -> None:
    assert mota.json("world", "-o", "my.mota", "--update")["added"] == 15
    assert mota.json("world", "-o", "my.mota", "--update")["kept"] == 15


def test_metadata_store_and_number_type(mota: Terminal, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,price\nimages/000001.png,3\nimages/000002.png,5\n")
    words = ("--metadata", "m.csv", "--dtype", "fp32", "--store-option", "threads=1", "--prompt", "$ and {caption}")
    mota.json("world", "-o", "my.mota", *words)
    with Index.open("my.mota") as index:
        assert index.config.columns == {"price": "number"} and index.config.store_options == {"threads": 1}
        assert (index.config.dtype, index.config.prompt) == ("float32", "$ and {caption}")
        assert index.vectors.stored.dtype == "float32"


def test_pictures_that_were_moved(mota: Terminal, tmp_path: Path) -> None:
    mota.json("world", "-o", "my.mota")
    (tmp_path / "world").rename(tmp_path / "elsewhere")
    code, _, err = mota("--update", "my.mota")
    assert code == 1 and "no such folder" in err and "--folder NEW" in err
    assert mota.json("my.mota", "--folder", "elsewhere", "--update")["kept"] == 15
    assert "if the pictures were moved" in mota.refused("world", "-o", "my.mota", "--update")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["world"], "where does the index go?"),
        (["world", "-o", "my.mota", "--info"], "--info does not go with --out"),
        (["world", "-o", "my.mota", "--folder", "world"], "--folder does not go with --out"),
        (["my.mota", "--info", "--update"], "--info does not go with --update"),
        (["world", "-o", "x.mota", "--rehash"], "--rehash is for --update"),
        (["my.mota", "--update", "--dtype", "fp32"], "--dtype is not for --update"),
        (["my.mota", "--update", "--model", "RN50"], "--model is not for --update"),
        (["my.mota", "--update", "--inversion", "lincir"], "--inversion is not for --update"),
        (["my.mota", "--update", "--store-option", "threads=3"], "--store-option is not for --update"),
        (["world", "-o", "x.mota", "--store", "exakt"], "did you mean 'exact'"),
        (["world", "-o", "x.mota", "--store-option", "thread=3"], "did you mean 'threads'"),
        (["world", "-o", "x.mota", "--adapter", "run"], "name the --inversion"),
    ],
)
def test_what_does_not_go_together(mota: Terminal, words: list[str], said: str) -> None:
    mota.json("world", "-o", "my.mota")
    assert said in mota.refused(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["world", "-o", "my.mota"], "my.mota is an index already"),
        (["nowhere", "-o", "x.mota"], "no such folder"),
        (["nowhere", "--update"], "build one: `mota index FOLDER -o INDEX`"),
        (["world", "--info"], "is no index"),
        (["world", "-o", "world"], "world exists already"),
    ],
)
def test_what_fails(mota: Terminal, words: list[str], said: str) -> None:
    mota.json("world", "-o", "my.mota")
    code, out, err = mota(*words)
    assert code == 1 and not out and said in err
