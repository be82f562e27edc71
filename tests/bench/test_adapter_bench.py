"""`mota bench adapter` and `mota bench train`: the sides do what they stand for, and the figures are right."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch

from motacli.bench import adapter, adapter_training, find_cases, harness, peer_adapter_training
from motacli.bench.adapter import ARCHITECTURES, AdapterCase, trainable_parameters
from motacli.bench.adapter_training import SAME, AdapterTrainingCase, AdapterTrainingInputs
from motacli.bench.gradients import Descent, relative_difference
from motacli.bench.harness import Side
from motacli.bench.memory import Peak
from motacli.bench.peer_adapter_training import PromptedTower
from motacli.bench.random_clip import Architecture, TowerShape, VisionShape, architecture, parameter_count
from motacli.bench.random_clip import random_backbone as build
from motacli.bench.text_inputs import make_changes, mean_tokens
from motacli.cli import main
from motacli.errors import MotaError
from motacli.plugins import PluginHost

TINY = Architecture(
    TowerShape(layers=4, width=32, heads=2, joint_dim=24),
    VisionShape(layers=2, width=32, head_width=16, patch_size=8, image_size=16),
)
CASES: dict[str, Any] = {"adapter": adapter.CASES, "train": adapter_training.CASES}


def query_case(**changes: int) -> AdapterCase:
    case: AdapterCase = CASES["adapter"]["ViT-L-14"].scaled(TINY, queries=5)
    return replace(case, **changes)  # type: ignore[arg-type]


def training_case(rows: int = 6, steps: int = 3) -> AdapterTrainingCase:
    case: AdapterTrainingCase = CASES["train"]["ViT-L-14"].scaled(TINY, rows=rows, steps=steps)
    return case


@pytest.fixture(scope="module")
def inputs() -> AdapterTrainingInputs:
    return training_case().inputs(0)


# ---------------------------------------------------------------------------------------------- mota bench adapter


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_the_sides_are_one_query_with_and_without_adapter(batch: int) -> None:
    case, alone = query_case(batch=batch), query_case(batch=1)
    inputs = case.inputs(2)
    ours, theirs = case.ours(inputs)(), case.baseline(inputs)()
    assert ours.shape == theirs.shape == (5, 24) and case.check(inputs, ours, theirs) == 0
    assert torch.allclose(ours, alone.ours(inputs)(), atol=1e-5)  # however many go together
    assert torch.allclose(theirs, alone.baseline(inputs)(), atol=1e-5)
    assert not torch.allclose(ours, theirs, atol=1e-3)


def test_a_side_that_did_nothing_is_refused() -> None:
    case = query_case()
    inputs = case.inputs(0)
    theirs = case.baseline(inputs)()
    for ours in (theirs, theirs[:3], 2 * theirs, theirs * float("nan")):
        with pytest.raises(MotaError, match="ViT-L-14"):
            case.check(inputs, ours, theirs)


def test_shares_by_hand() -> None:
    mdm = 2 * 24 + (24 * 16 + 16) + (16 * 48 + 48)
    prompts = 4 * 3 * 4 * 32 + (2 * 32 * 4 + 4)
    assert trainable_parameters(TINY.text) == mdm + prompts

    def block(width: int) -> int:
        return (
            2 * 2 * width + (3 * width * width + 3 * width) + (width * width + width) + (8 * width * width + 5 * width)
        )

    text = 49408 * 32 + 77 * 32 + 4 * block(32) + 2 * 32 + 32 * 24
    positions = (16 // 8) ** 2 + 1
    vision = 3 * 8 * 8 * 32 + 32 + positions * 32 + 2 * block(32) + 2 * 2 * 32 + 32 * 24
    assert parameter_count(TINY) == text + vision + 1  # the temperature
    assert parameter_count(TINY) == build(TINY.text, 0, TINY.vision).parameter_count()
    figures = query_case().figures(3.0, 2.0)
    assert figures == {"trainable_share": (mdm + prompts) / (text + vision + 1), "latency_ratio": 1.5}


def test_the_architectures_are_real() -> None:
    assert [case.name for case in find_cases("adapter")] == [*ARCHITECTURES]
    millions = [round(parameter_count(architecture(name)) / 1e6) for name in ARCHITECTURES]
    assert millions == [151, 428, 986, 2540]
    assert architecture("ViT-bigG-14").text == TowerShape(layers=32, width=1280, heads=20, joint_dim=1280)
    for case in CASES["adapter"].values():
        assert case.figures(1.0, 1.0)["trainable_share"] <= 0.0205


def test_changes_are_as_long_as_cirrs() -> None:
    changes = make_changes(300, 0)
    assert 10 < sum(len(change.split()) for change in changes) / 300 < 12 and 12 < mean_tokens(changes) < 14
    assert changes[:9] == make_changes(9, 0) and changes[:9] != make_changes(9, 1)


# ---------------------------------------------------------------------------------------------- mota bench train


@pytest.mark.parametrize("seed", [0, 3])
def test_both_sides_descend_alike_in_every_run(seed: int) -> None:
    case = training_case()
    inputs = case.inputs(seed)
    works = case.ours(inputs), case.baseline(inputs)
    for _ in range(2):  # a run that changed the inputs would spoil the next
        ours, theirs = (work() for work in works)
        assert case.check(inputs, ours, theirs) == 0
        assert len(ours.losses) == 3 and set(ours.gradients) == set(dict(inputs.adapter.named_parameters()))
        assert all(float(gradient.abs().max()) > 0 for gradient in ours.gradients.values())
        assert relative_difference(ours, theirs) < SAME


@pytest.mark.parametrize("deviation", ["prompts", "doubt"])
def test_a_baseline_that_does_something_else_is_refused(
    deviation: str, inputs: AdapterTrainingInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    if deviation == "prompts":
        monkeypatch.setattr(peer_adapter_training, "_put", lambda hidden, prompts: hidden)
    else:
        monkeypatch.setattr(peer_adapter_training, "_doubt", lambda logits, beta: torch.ones(len(logits)))
    case = training_case()
    with pytest.raises(MotaError, match=r"ViT-L-14: our losses or gradients and the baseline's are \S+ of their size"):
        case.check(inputs, case.ours(inputs)(), case.baseline(inputs)())


def test_differences_are_relative() -> None:
    one = Descent([2.0], {"a": torch.tensor([3.0, 4.0])})
    assert relative_difference(one, Descent([2.0], {"a": torch.tensor([3.0, 4.0])})) == 0
    assert relative_difference(Descent([3.0], one.gradients), one) == pytest.approx(0.5)
    assert relative_difference(Descent([2.0], {"a": torch.tensor([3.0, 5.0])}), one) == pytest.approx(0.2)
    assert relative_difference(one, Descent([2.0], {"a": torch.zeros(2)})) == float("inf")
    assert relative_difference(one, Descent([2.0], {})) == float("inf")
    assert not relative_difference(Descent([float("nan")], one.gradients), one) <= SAME


def test_the_baseline_pads_encodes_again_and_keeps_weight_gradients(
    inputs: AdapterTrainingInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    pictures: list[int] = []
    towers: list[PromptedTower] = []

    def keep(*args: Any, **options: Any) -> PromptedTower:
        tower = PromptedTower(*args, **options)
        tower.model.ln_final.register_forward_hook(lambda module, args, out: lengths.append(args[0].shape[1]))
        tower.model.visual.register_forward_hook(lambda module, args, out: pictures.append(len(args[0])))
        towers.append(tower)
        return tower

    monkeypatch.setattr(adapter_training, "PromptedTower", keep)
    training_case().baseline(inputs)()
    assert pictures == [6] * 3
    assert lengths == [77] * 3 * 3  # composed query, target, base model's query
    visual, text = towers[0].model.visual.transformer, towers[0].model.transformer
    for transformer in (visual, text):
        assert float(transformer.resblocks[0].mlp.c_fc.weight.grad.abs().sum()) > 0
    training_case().ours(inputs)()
    assert all(weight.grad is None for weight in inputs.backbone.model.parameters())


def test_ours_reads_neither_pictures_nor_padding(inputs: AdapterTrainingInputs) -> None:
    model = inputs.backbone.model
    lengths: list[int] = []
    hooks = [
        model.transformer.resblocks[0].register_forward_hook(lambda module, args, out: lengths.append(out.shape[1])),
        model.visual.register_forward_hook(lambda module, args, out: pytest.fail("a picture was encoded")),
    ]
    training_case().ours(inputs)()
    for hook in hooks:
        hook.remove()
    assert len(lengths) == 3 and max(lengths) < 40


@pytest.mark.parametrize("bench", CASES)
def test_a_side_reaches_another_process(bench: str) -> None:
    case = query_case() if bench == "adapter" else training_case()
    side: Side = pickle.loads(pickle.dumps(Side(case, "ours", 0)))
    assert side.case == case


# ---------------------------------------------------------------------------------------------- report


@pytest.mark.parametrize("bench", CASES)
def test_the_command(
    bench: str, host: PluginHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module: Any = adapter if bench == "adapter" else adapter_training
    case = query_case() if bench == "adapter" else training_case(steps=1)
    monkeypatch.setattr(module, "CASES", {case.name: case})
    monkeypatch.setattr(harness, "SETTLING", 0.0)
    monkeypatch.setattr(harness, "peak_memory", lambda side: Peak(1.0 if side.name == "ours" else 4.0, 50.0))
    assert main(["bench", bench, "--case", "ViT-L-14", "--repeats", "1", "--json"], host=host) == 0
    (row,) = json.loads(capsys.readouterr().out)["cases"]
    assert row["speedup"] == pytest.approx(row["baseline_seconds"] / row["seconds"]) and row["memory_ratio"] == 0.25
    if bench == "adapter":
        assert row["latency_ratio"] == pytest.approx(1 / row["speedup"])
        assert row["trainable_share"] == pytest.approx(row["trainable_parameters"] / row["dual_encoder_parameters"])
        assert {"batch": 1, "queries": 5, "layers": 4}.items() <= row.items() and "figures" not in row
    else:
        assert row["samples_per_second"] == pytest.approx(6 / row["seconds"])
        assert {"rows": 6, "steps": 1, "vision_layers": 2}.items() <= row.items() and "latency_ratio" not in row
    assert main(["bench", bench, "--repeats", "1"], host=host) == 0
    head = capsys.readouterr().out.splitlines()[0].split()
    assert head[-1] == ("latency_ratio" if bench == "adapter" else "baseline_samples_per_second")
