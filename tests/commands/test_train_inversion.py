"""`mota train-inversion` from outside."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from motacli import hookimpl
from motacli.cache import build_cache
from motacli.cli import main
from motacli.contracts import ImageRef
from motacli.datasets import open_source
from motacli.models import load_inversion
from motacli.plugins import PluginHost, load_plugins
from motacli.runs import file_digest
from motacli.tiny.clip import load_tiny
from motacli.tiny.make import make_pairs

QUICK = ["--steps", "3", "--batch-size", "8", "--device", "cpu"]


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Any) -> Path:
    folder = tmp_path_factory.mktemp("features")
    make_pairs(folder / "train", seed=1, count=24)
    return build_cache(folder / "train.h5", tiny_backbone, open_source(folder / "train", None, None)).path


def run(argv: list[str], capsys: pytest.CaptureFixture[str], host: PluginHost) -> tuple[int, str, str]:
    code = main(["train-inversion", *argv], host=host)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_run_can_be_used_and_repeated(
    features: Path, tmp_path: Path, host: PluginHost, tiny_backbone: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "deep" / "one", tmp_path / "two"
    argv = ["searle", "--features", str(features), *QUICK, "--seed", "4", "--option", "oti.steps=2"]
    code, out, _ = run([*argv, "--option", "dropout=0.3", "--out", str(one), "--json"], capsys, host)
    assert code == 0
    names = {path.name for path in one.iterdir()}
    assert names == {"inversion.safetensors", "inversion.json", "config.json", "metrics.json", "provenance.json"}
    about, metrics, provenance = (
        json.loads((one / f"{name}.json").read_text()) for name in ("inversion", "metrics", "provenance")
    )
    assert about["name"] == "searle" and about["backbone"]["fingerprint"] == tiny_backbone.fingerprint()
    assert about["recipe"]["steps"] == 3 and about["recipe"]["oti"]["steps"] == 2 and about["recipe"]["rows"] == 24
    assert about["recipe"]["dropout"] == 0.3 and about["quality"]["loss"] == metrics["loss"]
    printed = json.loads(out)
    assert printed.pop("out") == str(one) and printed.pop("inversion") == "searle"
    assert printed.pop("parameters") == sum(p.numel() for p in load(host, one, tiny_backbone).parameters())
    assert printed == {key: metrics[key] for key in ("loss", "recall_at_1", "rows", "steps", "seconds")}
    assert provenance["seed"] == 4 and provenance["digests"] == {
        "features": file_digest(features),
        "backbone": tiny_backbone.fingerprint(),
        "inversion": file_digest(one / "inversion.safetensors"),
    }

    assert run(["--config", str(one / "config.json"), "--out", str(two)], capsys, host)[0] == 0
    assert file_digest(two / "inversion.safetensors") == file_digest(one / "inversion.safetensors")
    assert json.loads((two / "config.json").read_text()) == json.loads((one / "config.json").read_text())


def load(host: PluginHost, folder: Path, backbone: Any) -> Any:
    return load_inversion(host, str(folder), backbone)


@pytest.mark.parametrize("name", ["pic2word", "lincir"])
def test_the_table_says_how_it_went(
    name: str, features: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run([name, "--features", str(features), *QUICK, "--out", str(tmp_path / "run")], capsys, host)
    head, row = out.splitlines()
    assert code == 0 and head.split() == ["inversion", "loss", "recall_at_1", "parameters", "rows", "steps", "seconds"]
    assert row.split()[0] == name and row.split()[4:6] == ["24", "3"]


@pytest.fixture(scope="module")
def unfit() -> PluginHost:
    """A host with an inversion that cannot be trained."""
    module = ModuleType("unfit")
    register = hookimpl(lambda register: register("fixed", lambda **sizes: None), specname="register_inversions")
    module.register_inversions = register  # type: ignore[attr-defined]
    return load_plugins(entry_points=[], modules={"unfit": module}, only=[])


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["serle"], 2, "did you mean 'searle'"),
        (["fixed"], 2, "inversion 'fixed' cannot be trained"),
        (["lincir", "--option", "noize=1"], 2, "did you mean 'noise'"),
        (["lincir", "--option", "steps=1"], 2, "give --steps"),
        (["lincir", "--option", "noise=-1"], 2, "noise must not be negative"),
        (["lincir", "--batch-size", "1"], 2, "--batch-size"),
        (["searle", "--option", "oti=3", "--option", "oti.steps=2"], 2, "'oti' is given both as a whole and in parts"),
        (["searle", "--option", "oti.step=2"], 2, "did you mean 'steps'"),
        (["lincir", "--device", "bogus"], 2, "device 'bogus' cannot be used"),
        (["lincir", "--features", "nowhere.h5"], 1, "no such feature file"),
    ],
)
def test_mistakes_leave_nothing(
    argv: list[str],
    code: int,
    said: str,
    features: Path,
    tmp_path: Path,
    unfit: PluginHost,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, *more = argv
    found = run([name, "--features", str(features), *QUICK, *more, "--out", str(tmp_path / "run")], capsys, unfit)
    assert found[:2] == (code, "") and said in found[2] and found[2].startswith("error: ")
    assert found[2].count("\n") == 1 and not list(tmp_path.iterdir())


def test_features_of_another_kind_or_backbone(
    features: Path, tmp_path: Path, host: PluginHost, tiny_backbone: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, _, err = run(
        ["lincir", "--features", str(features), *QUICK, "--preprocess", "targetpad", "--out", str(out)], capsys, host
    )
    assert code == 1 and "come from another backbone" in err and load_tiny().fingerprint() in err
    picture = next((features.parent / "train" / "images").iterdir())
    bare = build_cache(tmp_path / "bare.h5", tiny_backbone, [ImageRef("x", picture)]).path
    code, _, err = run(["lincir", "--features", str(bare), *QUICK, "--out", str(out)], capsys, host)
    assert code == 1 and "trained on captions, and there are none" in err and not out.exists()
