"""Trainings killed at any moment end with the weights of one that was not."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import finished, forked_mota

from motacli.cache import build_cache
from motacli.datasets import open_source
from motacli.errors import DataError
from motacli.inversions.data import PairFeatures
from motacli.inversions.lincir import LinCIR, LinCIROptions
from motacli.inversions.oti import OTIOptions
from motacli.inversions.pic2word import Pic2Word, Pic2WordOptions
from motacli.inversions.searle import Searle, SearleOptions
from motacli.runs import file_digest
from motacli.tiny.make import make_pairs
from motacli.training_state import FILE
from motacli.watch import Watch

QUICK: dict[str, Any] = {"epochs": 0, "steps": 12, "batch_size": 8, "lr": 2e-3, "dropout": 0.3}
METHODS = [
    (Pic2Word, Pic2WordOptions(**QUICK)),
    (LinCIR, LinCIROptions(**QUICK, ema=0.5, variants=3, masking="stretch", keywords="light")),
    (Searle, SearleOptions(**QUICK, oti=OTIOptions(steps=3, batch_size=8, templates="short"))),
]


class Killed(Exception):
    """Stands for a kill: raised in the middle of a step."""


@pytest.fixture(scope="module")
def pairs(tiny_backbone: Any) -> PairFeatures:
    captions = tuple(f"a red star {row} near a blue dot" for row in range(20))
    image = torch.randn(20, 128, generator=torch.Generator().manual_seed(0)) * 3
    return PairFeatures(image, captions, tiny_backbone.encode_text(captions))


def killer(at: int) -> Any:
    def on_step(step: int, loss: float) -> None:
        if step == at:
            raise Killed

    return on_step


@pytest.mark.parametrize(("build", "options"), METHODS)
def test_an_interrupted_training_ends_with_the_same_weights(
    build: Any, options: Any, pairs: PairFeatures, tiny_backbone: Any, tmp_path: Path
) -> None:
    expected, record = build.fit(tiny_backbone, pairs, options)
    for at in (2, 5, 11):  # before the first state, between two, near the end
        with pytest.raises(Killed):
            build.fit(tiny_backbone, pairs, options, Watch(work=tmp_path, save_every=4, on_step=killer(at)))
    seen: list[int] = []
    watch = Watch(work=tmp_path, save_every=4, on_step=lambda step, loss: seen.append(step))
    found, again = build.fit(tiny_backbone, pairs, options, watch)
    assert seen[0] in (5, 9) and seen[-1] == 12
    assert again["history"] == record["history"] and again["loss"] == record["loss"]
    for key, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key


def test_inverted_pictures_are_not_inverted_again(
    pairs: PairFeatures, tiny_backbone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motacli.inversions import oti

    options = METHODS[2][1]
    with pytest.raises(Killed):
        Searle.fit(tiny_backbone, pairs, options, Watch(work=tmp_path, on_step=killer(1)))
    shards = sorted(path.name for path in (tmp_path / "oti").iterdir())
    assert shards == ["000000000.safetensors", "000000008.safetensors", "000000016.safetensors"]
    monkeypatch.setattr(oti, "_invert_batch", None)
    Searle.fit(tiny_backbone, pairs, options, Watch(work=tmp_path))
    other = replace(options, oti=replace(options.oti, steps=4))
    with pytest.raises(TypeError):  # other options are another inversion
        Searle.fit(tiny_backbone, pairs, other, Watch(work=tmp_path / "new"))
    with pytest.raises(TypeError):
        oti.invert(tiny_backbone, pairs.image, None, other.oti, work=tmp_path / "oti")


def test_states_of_other_trainings_and_damaged_ones_are_refused(
    pairs: PairFeatures, tiny_backbone: Any, tmp_path: Path
) -> None:
    options = METHODS[0][1]
    with pytest.raises(Killed):
        Pic2Word.fit(tiny_backbone, pairs, options, Watch(work=tmp_path, save_every=2, on_step=killer(5)))
    for other, data in (
        (replace(options, seed=1), pairs),
        (replace(options, lr=1e-3), pairs),
        (options, replace(pairs, image=pairs.image + 1)),
    ):
        with pytest.raises(DataError, match="belongs to another training"):
            Pic2Word.fit(tiny_backbone, data, other, Watch(work=tmp_path))
    state = tmp_path / FILE
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(DataError, match="is damaged"):
        Pic2Word.fit(tiny_backbone, pairs, options, Watch(work=tmp_path))


def test_validation_changes_nothing_unless_it_chooses(pairs: PairFeatures, tiny_backbone: Any, tmp_path: Path) -> None:
    options = METHODS[0][1]
    scores = iter([10.0, 30.0, 20.0] * 9)
    seen: list[torch.Tensor] = []

    def validate(phi: torch.nn.Module) -> dict[str, float]:
        assert not phi.training
        torch.rand(3)
        seen.append(phi.state_dict()["fc_out.bias"].clone())
        return {"R@1": next(scores)}

    plain, _ = Pic2Word.fit(tiny_backbone, pairs, options)
    watched, record = Pic2Word.fit(tiny_backbone, pairs, options, Watch(validate=validate, validate_every=5))
    assert torch.equal(plain.fc_out.bias, watched.fc_out.bias) and record["kept"] == "last"
    assert record["validation"] == [{"step": 5, "R@1": 10.0}, {"step": 10, "R@1": 30.0}, {"step": 12, "R@1": 20.0}]
    watch = Watch(validate=validate, validate_every=5, keep_best="R@1", work=tmp_path, save_every=3)
    best, record = Pic2Word.fit(tiny_backbone, pairs, options, watch)
    assert torch.equal(best.fc_out.bias, seen[4]) and record["kept"] == "best R@1"


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Any) -> Path:
    folder = tmp_path_factory.mktemp("features")
    make_pairs(folder / "train", seed=1, count=48)
    return build_cache(folder / "train.h5", tiny_backbone, open_source(folder / "train", None, None)).path


MORE = {
    "pic2word": (),
    "lincir": (),
    "searle": ("--option", "oti.steps=30", "--option", "oti.batch_size=12", "--option", "oti.templates=short"),
}


def written(work: Path) -> dict[str, int]:
    """The files of an unfinished training, and when each was last written."""
    return {str(path): path.stat().st_mtime_ns for path in work.rglob("*") if path.suffix != ".tmp" and path.is_file()}


@pytest.mark.parametrize(
    "network", [name if name == "searle" else pytest.param(name, marks=pytest.mark.thorough) for name in MORE]
)
def test_a_killed_process_goes_on(network: str, features: Path, tmp_path: Path) -> None:
    """The command itself under SIGKILL, again and again, against one that ran through.

    SEARLE is killed while it inverts pictures, and while it distils.
    """
    command, log = ["train-inversion", network, "--features", str(features)], tmp_path / "said.log"
    command += ["--steps", "60", "--batch-size", "16", "--save-every", "5", "--device", "cpu", "--quiet"]
    command += MORE[network]
    finished(forked_mota([*command, "--out", str(tmp_path / "whole")], log))
    work, kills = tmp_path / "killed.partial/work", 0
    for _ in range(10):
        process = forked_mota([*command, "--out", str(tmp_path / "killed"), "--resume"], log)
        seen = written(work)
        while process.is_alive() and (written(work) == seen or (kills and not (work / FILE).exists())):
            time.sleep(0.01)
        if process.is_alive() and kills < 2:
            time.sleep(0.02)
            process.kill()
            kills += 1
            assert network != "searle" or kills > 1 or not (work / FILE).exists()
        process.join()
        if process.exitcode == 0:
            break
    assert kills == 2
    assert not (tmp_path / "killed.partial").exists() and not (tmp_path / "killed/work").exists()
    weights = [tmp_path / name / "inversion.safetensors" for name in ("killed", "whole")]
    assert file_digest(weights[0]) == file_digest(weights[1])
