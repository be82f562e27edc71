"""What `mota train` has around the training, on real files: validation, caches, curves, and inputs that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motacli.cache import FeatureCache, build_cache
from motacli.cli import main
from motacli.contracts import Triplet
from motacli.datasets import open_source
from motacli.plugins import PluginHost
from motacli.runs import file_digest
from motacli.tiny.make import make_pairs
from motacli.tiny.mini import write_cirr
from motacli.triplets.pipeline import generate
from motacli.triplets.rules import RuleGenerator
from motacli.triplets.schema import read_triplets, write_triplets

FLAGS = ["--steps", "4", "--batch-size", "16", "--option", "experts=2", "--option", "depth=1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Any) -> Path:
    made = tmp_path_factory.mktemp("surroundings")
    make_pairs(made / "pairs", seed=0, count=60)
    source = open_source(made / "pairs")
    generate(source, RuleGenerator(), made / "t.jsonl", source_name="pairs")
    build_cache(made / "f.h5", tiny_backbone, source)
    return made


@pytest.fixture
def train(folder: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs the command: exit code, what it printed, what it said."""

    def run(*words: str | Path, triplets: Path = folder / "t.jsonl", features: Path = folder / "f.h5") -> Any:
        argv = ["train", "--inversion", "lincir", "--triplets", str(triplets), "--features", str(features), *FLAGS]
        code = main([*argv, *map(str, words)], host=host)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def metrics(run: Path) -> Any:
    return json.loads((run / "metrics.json").read_text())


def test_held_out_triplets_choose_the_weights(train: Callable[..., Any], tmp_path: Path) -> None:
    words = ("--held-out", "0.4", "--validate-every", "1", "--keep-best", "held-out-loss", "--lr", "0.05")
    code, out, err = train(*words, "--out", tmp_path / "run")
    assert code == 0 and "held-out-R@1" in out and "% of the" in err and "of the dual encoder" in err
    found = metrics(tmp_path / "run")
    looks = found["history"]["validation"]
    assert [look["step"] for look in looks] == [1, 2, 3, 4] and found["held_out"] > 16
    assert found["kept_step"] == min(looks, key=lambda look: look["held-out-loss"])["step"]
    about = json.loads((tmp_path / "run" / "adapter.json").read_text())["about"]
    assert about["kept"] == "best held-out-loss" and about["held_out"] == found["held_out"]
    again = train("--config", tmp_path / "run" / "config.json", "--out", tmp_path / "again")
    assert again[0] == 0
    digests = [file_digest(tmp_path / name / "adapter.safetensors") for name in ("run", "again")]
    assert digests[0] == digests[1]


def test_a_benchmark_is_looked_at_and_recorded(train: Callable[..., Any], tmp_path: Path, tiny_backbone: Any) -> None:
    partial(write_cirr, sets=2)(tmp_path / "cirr", 0, "val")
    words = ("--validate", "cirr", "--data-root", tmp_path / "cirr", "--validate-every", "2")
    code, _, err = train(*words, "--keep-best", "R@10", "--option", "fusion=validated", "--out", tmp_path / "run")
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert [look["step"] for look in found["history"]["validation"]] == [2, 4] and "R@10" in found["validation"]
    about = json.loads((tmp_path / "run" / "adapter.json").read_text())["about"]
    assert about["validated_on"] == "cirr" and about["kept"] == "best R@10"
    assert 0 <= found["fusion_weight"] <= 1
    assert not (tmp_path / "run" / "work").exists()


def test_what_is_frozen_is_kept(train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "frozen"
    assert train("--cache", cache, "--train-option", "scope=bank", "--out", tmp_path / "one")[0] == 0
    kinds = sorted(path.name.split("-")[0] for path in cache.glob("*.h5"))
    assert kinds == ["base", "entropy", "texts"]
    before = {path: path.stat().st_mtime_ns for path in cache.glob("*.h5")}

    def no_text(*_: Any) -> Any:
        raise AssertionError("texts are encoded again")

    monkeypatch.setattr("motacli.backbones.OpenClipBackbone.encode_text", no_text)
    monkeypatch.setattr("motacli.adapters.frozen_store.compose_base", no_text)
    assert train("--cache", cache, "--train-option", "scope=bank", "--out", tmp_path / "two")[0] == 0
    assert before == {path: path.stat().st_mtime_ns for path in cache.glob("*.h5")}
    digests = [file_digest(tmp_path / name / "adapter.safetensors") for name in ("one", "two")]
    assert digests[0] == digests[1]


def test_curves(train: Callable[..., Any], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert train("--track", "tensorboard", "--held-out", "0.4", "--out", tmp_path / "run")[0] == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    names = set(events.Tags()["scalars"])
    assert {"loss", "accuracy", "weight_entropy", "lr", "usage/0", "usage/1", "validation/held-out-R@1"} <= names
    assert [event.step for event in events.Scalars("loss")] == [4]
    found = metrics(tmp_path / "run")
    assert events.Scalars("loss")[0].value == pytest.approx(found["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        ["--train-option", "mined_negatives=2"],
        ["--train-option", "bucket=2"],
        ["--train-option", "checkpointing=chunks"],
        ["--train-option", "checkpointing=layers"],
        ["--train-option", "autocast=bf16"],
        ["--option", "fusion=learned"],
        ["--option", "tokens=0"],
        ["--option", "mdm=none"],
    ],
)
def test_every_option_trains(options: list[str], train: Callable[..., Any], tmp_path: Path) -> None:
    code, _, err = train(*options, "--out", tmp_path / "run")
    assert code == 0, err
    assert np.isfinite(metrics(tmp_path / "run")["loss"])


# ---------------------------------------------------------------------------------------------- refused


def refused(answer: Any, code: int, *said: str) -> None:
    """Exit code and one line of error, with nothing trained."""
    found, out, err = answer
    assert found == code and out == ""
    last = err.splitlines()[-1]
    assert last.startswith("error:") and all(words in last for words in said), err
    assert "numbers learn" not in err and "Traceback" not in err


def with_captions(folder: Path, target: Path, change: Callable[[Triplet], Triplet]) -> Path:
    first, *rest = read_triplets(folder / "t.jsonl")
    write_triplets(target, [change(first), *rest])
    return target


LONG = " and ".join(["a red star"] * 40)


def test_long_captions(train: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    target = with_captions(folder, tmp_path / "a.jsonl", lambda t: replace(t, target_caption=LONG))
    refused(train("--out", tmp_path / "run", triplets=target), 1, "1 of", "target captions are too long", "cut")
    relative = with_captions(folder, tmp_path / "b.jsonl", lambda t: replace(t, relative_caption=LONG))
    refused(train("--out", tmp_path / "run", triplets=relative), 1, "relative captions are too long", "room for")
    cut = ("--train-option", "long_captions=cut", "--out", tmp_path / "run")
    assert train(*cut, triplets=relative)[0] == 0


def test_features_of_another_backbone(
    train: Callable[..., Any], folder: Path, tmp_path: Path, tiny_backbone: Any
) -> None:
    other = copy(tiny_backbone)
    other._fingerprint = "0123456789abcdef"
    build_cache(tmp_path / "f.h5", other, open_source(folder / "pairs"))
    answer = train("--out", tmp_path / "run", features=tmp_path / "f.h5")
    refused(answer, 1, "another backbone", "0123456789abcdef", "mota cache")


def test_features_that_are_not_finite(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = FeatureCache.at

    def broken(self: FeatureCache, *asked: Any) -> Any:
        found = plain(self, *asked).copy()
        found[3, 5] = np.nan
        return found

    monkeypatch.setattr(FeatureCache, "at", broken)
    refused(train("--out", tmp_path / "run"), 1, "NaN or infinity")


def test_pictures_without_features(train: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    other = with_captions(folder, tmp_path / "a.jsonl", lambda t: replace(t, image="images/elsewhere.png"))
    refused(train("--out", tmp_path / "run", triplets=other), 1, "1 of the triplets'", "elsewhere.png")


def test_no_triplets_and_one(train: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("\n")
    refused(train("--out", tmp_path / "run", triplets=tmp_path / "none.jsonl"), 1, "no triplets in this file")
    write_triplets(tmp_path / "one.jsonl", read_triplets(folder / "t.jsonl")[:1])
    refused(train("--out", tmp_path / "run", triplets=tmp_path / "one.jsonl"), 1, "1 triplets are too few")
    refused(train("--batch-size", "1", "--out", tmp_path / "run"), 2, "--batch-size")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--keep-best", "R@1"], "--keep-best needs --validate"),
        (["--patience", "2"], "--patience needs --keep-best"),
        (["--validate", "cirr"], "--validate and --data-root go together"),
        (["--split", "val"], "--split is that of --validate"),
        (["--track", "tensorbord"], "did you mean 'tensorboard'"),
        (["--option", "fusion=validated"], "nothing to choose it by"),
        (["--option", "fusion=late"], "unknown form of fusion"),
        (["--option", "tokens=-1"], "tokens"),
        (["--train-option", "checkpointing=all"], "checkpointing"),
        (["--held-out", "1.5"], "held_out"),
        (["--adapter-type", "mota", "--option", "mdm=some"], "unknown MDM form"),
    ],
)
def test_options_that_make_no_sense(words: list[str], said: str, train: Callable[..., Any], tmp_path: Path) -> None:
    refused(train(*words, "--out", tmp_path / "run"), 2, said)
    assert sorted(path.name for path in tmp_path.iterdir()) == []
