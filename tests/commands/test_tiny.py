"""`mota tiny make` from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from motacli.cli import main
from motacli.plugins import PluginHost
from motacli.tiny import make
from motacli.tiny.mini import write_circo, write_cirr, write_fashioniq
from motacli.tiny.mini_genecis import write_genecis


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    writers = {
        "fashioniq": partial(write_fashioniq, queries=2),
        "cirr": partial(write_cirr, sets=1),
        "circo": partial(write_circo, queries=2, others=3),
        "genecis": partial(write_genecis, queries=1, others=30),
    }
    monkeypatch.setattr(make, "WRITERS", writers)
    monkeypatch.setattr(make, "make_pairs", partial(make.make_pairs, count=12))
    yield


def test_a_world_is_written_and_counted(tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tiny", "make", str(tmp_path / "w"), "--seed", "3", "--json"], host=host) == 0
    captured = capsys.readouterr()
    parts = {row["part"]: row for row in json.loads(captured.out)}
    assert list(parts) == ["train", "test/fashioniq", "test/cirr", "test/circo", "test/genecis"]
    assert parts["train"] == {"part": "train", "queries": None, "pictures": 12}
    assert (parts["test/fashioniq"]["queries"], parts["test/circo"]["queries"], parts["test/genecis"]["queries"]) == (
        6,
        2,
        4,
    )
    for name, ending in (("fashioniq", "png"), ("cirr", "png"), ("circo", "jpg")):
        files = list((tmp_path / "w" / "test" / name).rglob(f"*.{ending}"))
        assert parts[f"test/{name}"]["pictures"] == len(files) > 0
    assert "ready: " in captured.err and "circo" in captured.err


def test_only_the_splits_asked_for(tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["tiny", "make", str(tmp_path / "w"), "--split", "train", "--split", "train", "--quiet"]
    assert main(argv, host=host) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.split() == ["part", "queries", "pictures", "train", "12"]
    assert not (tmp_path / "w" / "test").exists()
    assert main([*argv[:3], "--split", "train"], host=host) == 0  # once more: all is there already


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--split", "tset"], 2, "'tset'"),
        (["--seed", "-1"], 2, "--seed"),
        (["--seed", "9", "--split", "train"], 1, "seed"),
    ],
)
def test_mistakes(
    more: list[str], code: int, said: str, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path / "w")
    assert main(["tiny", "make", root, "--split", "train", "--quiet"], host=host) == 0
    capsys.readouterr()
    assert main(["tiny", "make", root, *more], host=host) == code
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and captured.err.count("\n") == 1
