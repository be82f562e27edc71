"""`mota cache` from outside. The backbone is the test session's own; all else is real."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from motacli.cache import FeatureCache
from motacli.cli import main
from motacli.plugins import PluginHost
from motacli.runs import partial_path
from motacli.tiny.make import make_pairs
from motacli.tiny.mini import write_fashioniq


class Choice(NamedTuple):
    """Stands in for `motacli.models.BackboneChoice`."""

    model: str
    pretrained: str | None
    device: str
    precision: str
    preprocess: str


@pytest.fixture(autouse=True)
def choices(monkeypatch: pytest.MonkeyPatch, tiny_backbone: Any) -> list[Choice]:
    """The backbones that were asked for; each is the session's."""
    asked: list[Choice] = []
    models = ModuleType("motacli.models")
    models.BackboneChoice = Choice  # type: ignore[attr-defined]
    models.load_backbone = lambda host, choice: asked.append(choice) or tiny_backbone  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "motacli.models", models)
    return asked


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_pairs(folder / "train", seed=1, count=20)
    write_fashioniq(folder / "fashioniq", 1, "val", queries=2)
    return folder


def run(argv: list[str], capsys: pytest.CaptureFixture[str], host: PluginHost) -> tuple[int, str, str]:
    code = main(["cache", *argv], host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_an_image_text_set(
    world: Path,
    tmp_path: Path,
    host: PluginHost,
    choices: list[Choice],
    tiny_backbone: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "deep" / "f.h5"
    argv = ["--data", str(world / "train"), "--out", str(out), "--batch-size", "8", "--workers", "2", "--device", "cpu"]
    code, printed, _ = run([*argv, "--json"], capsys, host)
    cache = FeatureCache(out)
    assert code == 0 and cache.ids[0] == "images/000000.png" and len(cache) == 20 and cache.has_captions
    assert json.loads(printed) == [
        {
            "file": str(out),
            "pictures": 20,
            "captions": 20,
            "skipped": 0,
            "dim": 128,
            "dtype": "float32",
            "backbone": "tiny",
            "fingerprint": tiny_backbone.fingerprint(),
        }
    ]
    assert choices == [("tiny", None, "cpu", "fp32", "clip")]

    before = out.stat().st_mtime_ns
    assert run([*argv, "--resume", "--json"], capsys, host)[:2] == (0, printed)
    make_pairs(tmp_path / "other", seed=2, count=21)
    argv[1] = str(tmp_path / "other")
    code, printed, err = run(argv, capsys, host)
    assert (code, printed) == (1, "") and "exists already and lacks 1 of 21" in err and "--append" in err
    assert out.stat().st_mtime_ns == before


def test_a_benchmark(world: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--benchmark", "fashioniq", "--data-root", str(world / "fashioniq"), "--part", "dress", "--part", "toptee"]
    code, printed, _ = run([*argv, "--out", str(tmp_path / "f")], capsys, host)
    assert code == 0 and len(printed.splitlines()) == 3
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["fashioniq_dress.h5", "fashioniq_toptee.h5"]
    assert not FeatureCache(tmp_path / "f" / "fashioniq_dress.h5").has_captions


def test_an_interrupted_command_says_how_to_go_on(
    world: Path,
    tmp_path: Path,
    host: PluginHost,
    tiny_backbone: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(texts: Any) -> Any:
        raise KeyboardInterrupt

    out = tmp_path / "f.h5"
    argv = ["--data", str(world / "train" / "captions.jsonl"), "--out", str(out), "--batch-size", "8"]
    with monkeypatch.context() as patch:
        patch.setattr(tiny_backbone, "encode_text", interrupted)
        code, printed, err = run(argv, capsys, host)
    assert (code, printed, err) == (130, "", "error: interrupted\n") and partial_path(out).exists()
    code, _, err = run([*argv, "--no-resume"], capsys, host)
    assert code == 1 and "--resume" in err
    code, _, err = run(argv, capsys, host)
    assert code == 0 and "going on after 20 of 20 pictures" in err and len(FeatureCache(out)) == 20


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "say what to encode"),
        (["--data", "x", "--benchmark", "cirr", "--data-root", "y"], "say what to encode"),
        (["--benchmark", "cirr"], "give --data-root"),
        (["--data", "x", "--split", "val"], "--split does not go with --data"),
        (["--data", "x", "--part", "dress"], "--part does not go with --data"),
        (["--benchmark", "cirr", "--data-root", "y", "--image-column", "z"], "--image-column does not go with"),
        (["--benchmark", "cir", "--data-root", "y"], "did you mean 'cirr'?"),
    ],
)
def test_wrong_words(
    argv: list[str],
    said: str,
    tmp_path: Path,
    host: PluginHost,
    choices: list[Choice],
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, printed, err = run([*argv, "--out", str(tmp_path / "f")], capsys, host)
    assert (code, printed) == (2, "") and said in err and err.count("\n") == 1
    assert not choices and not list(tmp_path.iterdir())


def test_bad_rows_are_named_by_file_and_line(
    world: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "x.csv"
    table.write_text(f"image,caption\n{world}/train/images/000000.png,one\n{world}/train/images/000001.png\n")
    code, _, err = run(["--data", str(table), "--out", str(tmp_path / "f.h5")], capsys, host)
    assert code == 1 and f"{table}:3: 1 fields where the header has 2" in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
