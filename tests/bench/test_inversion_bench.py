"""The two sides of `mota bench train-inversion` find the same, and the baseline does the work that it is there for."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch

from motacli.bench import find_cases, harness, inversion, peer_training
from motacli.bench.harness import Side, Timing, summarize
from motacli.bench.inversion import SAME, TrainingCase, TrainingInputs, drawn_steps
from motacli.bench.memory import Peak
from motacli.bench.peer_training import PeerTower, mask_concept, mask_keywords
from motacli.bench.text_inputs import make_captions, mean_tokens
from motacli.cli import main
from motacli.errors import MotaError
from motacli.inversions.training import InversionOptions
from motacli.plugins import PluginHost

CASES: dict[str, Any] = inversion.CASES  # type: ignore[assignment]


def small(name: str) -> TrainingCase:
    case: TrainingCase = CASES[name].scaled(rows=6, steps=3)
    return case


@pytest.fixture(scope="module")
def inputs() -> TrainingInputs:
    return small("lincir").inputs(0)


# ---------------------------------------------------------------------------------------------- equal results


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 3])
def test_both_sides_find_the_same_in_every_run(name: str, seed: int) -> None:
    case = small(name)
    inputs = case.inputs(seed)
    works = case.ours(inputs), case.baseline(inputs)
    for _ in range(2):  # a run that changed the inputs would spoil the next
        ours, theirs = (torch.as_tensor(work()) for work in works)
        assert case.check(inputs, ours, theirs) == 0
        assert ours.shape == theirs.shape == ((6, 32) if name == "searle-oti" else (3,))
        assert float((ours - theirs).abs().max()) < SAME / 10


@pytest.mark.parametrize("name", ["lincir", "searle"])
@pytest.mark.parametrize("deviation", ["no step", "no slot"])
def test_a_baseline_that_does_something_else_is_refused(
    name: str, deviation: str, inputs: TrainingInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    if deviation == "no step":
        monkeypatch.setattr(peer_training, "_descend", lambda loss, optimizer: float(loss.detach()))
    else:
        monkeypatch.setattr(peer_training, "_with_slots", lambda caption, runs: caption)
    case = small(name)
    with pytest.raises(MotaError, match=rf"{name}: our results and the baseline's are \S+ apart"):
        case.check(inputs, case.ours(inputs)(), case.baseline(inputs)())


def test_the_losses_may_differ_by_rounding_alone(inputs: TrainingInputs) -> None:
    case = small("lincir")
    assert case.check(inputs, [1.0, 2.0], [1.0, 2.0 + SAME / 2]) == 0
    for other in ([1.0, 2.0 + 2 * SAME], [float("nan"), 2.0]):
        with pytest.raises(MotaError, match="apart"):
            case.check(inputs, [1.0, 2.0], other)


def test_words_that_went_another_way_are_noticed() -> None:
    case = small("searle-oti")
    inputs = case.inputs(0)
    ours, other = case.ours(inputs)(), case.ours(case.inputs(1))()
    with pytest.raises(MotaError, match="searle-oti"):
        case.check(inputs, ours, other)
    unlike = replace(inputs, data=replace(inputs.data, image=-inputs.data.image))
    with pytest.raises(MotaError, match="searle-oti"):
        case.check(inputs, ours, case.baseline(unlike)())


def test_noise_and_rows_are_those_of_the_training() -> None:
    steps = drawn_steps(12, InversionOptions(steps=4, batch_size=6, seed=5))
    assert len(steps) == 4 and sorted([*steps[0][0], *steps[1][0]]) == list(range(12))
    assert len({float(torch.rand(1, generator=noise)) for _, noise in steps}) == 4


# ---------------------------------------------------------------------------------------------- the baseline's work


def test_the_baseline_runs_77_positions_as_open_clip_does(inputs: TrainingInputs) -> None:
    tower = PeerTower(inputs.backbone.model, inputs.backbone.tokenizer, weight_gradients=False)
    lengths = []
    tower.model.ln_final.register_forward_hook(lambda module, args, output: lengths.append(args[0].shape[1]))
    texts, dollar = ["a photo of $", "$ near $"], inputs.backbone.model.token_embedding.weight[259]
    whole, spliced = tower.encode(texts), tower.encode_with(texts, dollar.expand(2, -1))
    assert lengths == [77, 77]
    assert torch.allclose(whole, spliced, atol=1e-6)
    assert not torch.allclose(whole, tower.encode_with(texts, torch.ones(2, 32)), atol=1e-2)


@pytest.mark.parametrize("name", CASES)
def test_gradients_pile_up_on_the_baselines_tower_alone(
    name: str, inputs: TrainingInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    towers: list[PeerTower] = []

    def keep(*args: Any, **options: Any) -> PeerTower:
        towers.append(PeerTower(*args, **options))
        return towers[-1]

    monkeypatch.setattr(inversion, "PeerTower", keep)
    case = small(name)
    case.baseline(inputs)()
    (tower,) = towers
    gradients = [tower.model.transformer.resblocks[0].mlp.c_fc.weight.grad, tower.model.token_embedding.weight.grad]
    if name == "lincir-frozen":
        assert gradients == [None, None]
    else:
        assert all(float(gradient.abs().sum()) > 0 for gradient in gradients)
    case.ours(inputs)()
    assert all(weight.grad is None for weight in inputs.backbone.model.parameters())


def test_the_texts_are_masked_in_words() -> None:
    caption = "a small dog sleeping under the wooden table near a fireplace"
    assert mask_keywords(caption) == "$ sleeping under $ near $"
    assert mask_concept(caption) == "$ sleeping under the wooden table near a fireplace"


def test_the_contrast_by_hand() -> None:
    a, b = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    e = torch.e
    from_a = [e / (e + e + 1), 1 / (1 + 1 + 1)]
    from_b = [e / (e + 1 + e), 1 / (e + 1 + e)]
    expected = -torch.tensor([*from_a, *from_b]).log().mean()
    assert float(peer_training._contrast(a, b, 1.0)) == pytest.approx(float(expected), abs=1e-6)


# ---------------------------------------------------------------------------------------------- inputs and report


def test_captions_are_as_long_as_real_ones() -> None:
    captions = make_captions(300, 0)
    words = [len(caption.split()) for caption in captions]
    assert min(words) >= 6 and max(words) <= 30 and len(set(captions)) == 300
    assert 17 < mean_tokens(captions) < 19.5
    assert captions[:9] == make_captions(9, 0) and captions[:9] != make_captions(9, 1)


def test_the_cases_are_of_a_real_towers_size() -> None:
    for case in CASES.values():
        assert {"layers": 12, "width": 512, "caption_tokens": 18}.items() <= case.sizes.items()
        assert case.steps >= 2  # losses after an update tell of gradients
    assert CASES["lincir"].sizes["masked_tokens"] < CASES["searle"].sizes["masked_tokens"] < 18


@pytest.mark.parametrize("name", CASES)
def test_a_side_reaches_another_process(name: str) -> None:
    side: Side = pickle.loads(pickle.dumps(Side(small(name), "ours", 0)))
    assert side.case == small(name)


def test_samples_per_second() -> None:
    timing = Timing((2.0,), (10.0,), ([], []))
    record = summarize(small("searle"), timing, Peak(1.0, 2.0), Peak(1.0, 2.0), 0).record()
    assert (record["samples_per_second"], record["baseline_samples_per_second"]) == (9.0, 1.8)
    assert {"rows": 6, "steps": 3, "layers": 2, "width": 32}.items() <= record.items() and "rates" not in record


def test_the_command(host: PluginHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert [case.name for case in find_cases("train-inversion")] == list(CASES)
    monkeypatch.setattr(inversion, "CASES", {name: small(name) for name in CASES})
    monkeypatch.setattr(harness, "SETTLING", 0.0)
    monkeypatch.setattr(harness, "peak_memory", lambda side: Peak(1.0 if side.name == "ours" else 4.0, 50.0))
    argv = ["bench", "train-inversion", "--case", "lincir", "--case", "searle", "--repeats", "1"]
    assert main([*argv, "--json"], host=host) == 0
    report = json.loads(capsys.readouterr().out)
    for case in report["cases"]:
        assert case["samples_per_second"] == pytest.approx(18 / case["seconds"])
        assert case["baseline_samples_per_second"] == pytest.approx(18 / case["baseline_seconds"])
        assert case["speedup"] == pytest.approx(case["baseline_seconds"] / case["seconds"])
    assert [case["name"] for case in report["cases"]] == ["lincir", "searle"]
    assert main(argv, host=host) == 0
    head = capsys.readouterr().out.splitlines()[0].split()
    assert head[0] == "name" and head[-2:] == ["samples_per_second", "baseline_samples_per_second"]
