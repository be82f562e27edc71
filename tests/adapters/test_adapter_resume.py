"""The training of an adapter that was killed at any moment ends with the weights of one that was not."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import finished, forked_mota

from motacli.adapters.domains import Draws, Mixture
from motacli.adapters.frozen_half import TripletFeatures
from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.adapters.options import TrainOptions
from motacli.adapters.training import History, train_adapter
from motacli.cache import build_cache
from motacli.compose import tokenize_prompt
from motacli.contracts import Prompt
from motacli.datasets import open_source
from motacli.errors import DataError
from motacli.inversions.pic2word import Pic2Word
from motacli.runs import file_digest
from motacli.tiny.make import make_pairs
from motacli.training_state import FILE
from motacli.triplets.pipeline import generate
from motacli.triplets.rules import RuleGenerator
from motacli.watch import Watch

SHAPE = MotaOptions(experts=2, tokens=2, depth=2)
QUICK = TrainOptions(steps=12, batch_size=8, warmup=2, noise=0.3)
MIXTURE = Mixture(("a", "b"), (14, 10), (0.5, 0.5))


class Killed(Exception):
    """Stands for a kill: raised in the middle of a step."""


class Shaky(MotaAdapter):
    """One whose training draws random numbers of its own."""

    name = "shaky"

    def forward(self, *inputs: Any) -> Any:
        composed, gates = super().forward(*inputs)
        return torch.nn.functional.dropout(composed, 0.2, self.training), gates


@pytest.fixture(scope="module")
def data(tiny_backbone: Any) -> TripletFeatures:
    random = torch.Generator().manual_seed(0)
    captions = [f"is {colour} and {size}" for colour in ("red", "blue", "green") for size in map(str, range(8))]
    prompts = tuple(tokenize_prompt(tiny_backbone, Prompt("a photo of", f"that {text}")) for text in captions)
    image, target, reference = (3 * torch.randn(24, 128, generator=random) for _ in range(3))
    return TripletFeatures(image, prompts, target, reference)


def train(
    build: type[MotaAdapter], backbone: Any, data: TripletFeatures, options: TrainOptions, watch: Watch, mixed: bool
) -> tuple[MotaAdapter, History]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        phi = Pic2Word(joint_dim=128, text_width=160).eval().requires_grad_(False)
        torch.manual_seed(options.seed)
        adapter = build(backbone, SHAPE)
        draws = Draws(MIXTURE, options) if mixed else None
        history = train_adapter(adapter, backbone, phi, data, options, draws, watch, {"of": "test"})
    return adapter, history


def killer(at: int) -> Any:
    def on_step(step: int, loss: float) -> None:
        if step == at:
            raise Killed

    return on_step


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("build", [MotaAdapter, Shaky])
def test_an_interrupted_training_ends_with_the_same_weights(
    build: type[MotaAdapter], mixed: bool, data: TripletFeatures, tiny_backbone: Any, tmp_path: Path
) -> None:
    expected, history = train(build, tiny_backbone, data, QUICK, Watch(), mixed)
    for at in (2, 5, 11):  # before the first state, between two, near the end
        with pytest.raises(Killed):
            train(build, tiny_backbone, data, QUICK, Watch(work=tmp_path, save_every=4, on_step=killer(at)), mixed)
    seen: list[int] = []
    watch = Watch(work=tmp_path, save_every=4, on_step=lambda step, loss: seen.append(step))
    found, again = train(build, tiny_backbone, data, QUICK, watch, mixed)
    assert seen == [9, 10, 11, 12] and again == history
    for key, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key


def test_the_state_of_another_training_is_refused(data: TripletFeatures, tiny_backbone: Any, tmp_path: Path) -> None:
    watch = Watch(work=tmp_path, save_every=2, on_step=killer(5))
    with pytest.raises(Killed):
        train(MotaAdapter, tiny_backbone, data, QUICK, watch, False)
    with pytest.raises(DataError, match="belongs to another training"):
        train(MotaAdapter, tiny_backbone, data, replace(QUICK, beta=0.5), Watch(work=tmp_path), False)
    state = tmp_path / FILE
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(DataError, match="is damaged"):
        train(MotaAdapter, tiny_backbone, data, QUICK, Watch(work=tmp_path), False)


@pytest.mark.thorough  # the shorter form: tests/ablation/test_shared_jobs.py
def test_a_killed_process_goes_on(tiny_backbone: Any, tmp_path: Path) -> None:
    """The command itself under SIGKILL, against one that ran through."""
    make_pairs(tmp_path / "train", seed=1, count=40)
    source = open_source(tmp_path / "train")
    features = build_cache(tmp_path / "train.h5", tiny_backbone, source).path
    generate(source, RuleGenerator(), tmp_path / "t.jsonl")
    command, log = ["train", "--inversion", "lincir", "--features", str(features)], tmp_path / "said.log"
    command += ["--triplets", str(tmp_path / "t.jsonl"), "--steps", "40", "--batch-size", "16", "--save-every", "3"]
    command += ["--device", "cpu", "--quiet"]
    finished(forked_mota([*command, "--out", str(tmp_path / "whole")], log))
    state, kills = tmp_path / "killed.partial/work" / FILE, 0
    for _ in range(10):
        process = forked_mota([*command, "--out", str(tmp_path / "killed"), "--resume"], log)
        seen = state.stat().st_mtime_ns if state.exists() else 0
        while process.is_alive() and not (state.exists() and state.stat().st_mtime_ns > seen):
            time.sleep(0.002)
        if process.is_alive() and kills < 2:
            time.sleep(0.02)
            process.kill()
            kills += 1
        process.join()
        if process.exitcode == 0:
            break
    assert kills == 2 and not (tmp_path / "killed.partial").exists() and not (tmp_path / "killed/work").exists()
    weights = [tmp_path / name / "adapter.safetensors" for name in ("killed", "whole")]
    assert file_digest(weights[0]) == file_digest(weights[1])
