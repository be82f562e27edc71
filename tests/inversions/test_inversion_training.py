"""Training inversion networks: they learn, the same way for the same seed, and say how it went."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from motacli.config import parse_options
from motacli.console import NullProgress
from motacli.errors import DataError, MotaError, UsageError
from motacli.inversions.data import PairFeatures, photo_prompt, recall_at_1, spliced_features, two_sided
from motacli.inversions.keywords import light_runs
from motacli.inversions.lincir import LinCIR, LinCIROptions
from motacli.inversions.oti import OTIOptions, invert
from motacli.inversions.phrases import CaptionBook, caption_prompt, first_concept
from motacli.inversions.pic2word import Pic2Word, Pic2WordObjective, Pic2WordOptions
from motacli.inversions.searle import Searle, SearleObjective, SearleOptions
from motacli.tiny import grammar
from motacli.tiny.world import sample_scenes
from motacli.watch import Watch

ROWS = 64


def quick(cls: Any, **more: Any) -> Any:
    """Options for a few steps that learn something."""
    return cls(**{"epochs": 0, "steps": 8, "batch_size": 32, "warmup": 1, "lr": 2e-3, "dropout": 0.1, **more})


METHODS = [
    (Pic2Word, replace(quick(Pic2WordOptions), betas=(0.9, 0.999))),
    (LinCIR, replace(quick(LinCIROptions), noise_unit="spread", keywords="light")),
    (Searle, quick(SearleOptions, oti=OTIOptions(steps=4, templates="short"))),
]


@pytest.fixture(scope="module")
def pairs(tiny_backbone: Any) -> PairFeatures:
    """Captions of the tiny world; for pictures, features close to those of their captions."""
    words = Random(0)
    scenes = sample_scenes(np.random.default_rng(0), ROWS, "train")
    captions = tuple(grammar.describe(scene, words, grammar.THOROUGH).text for scene in scenes)
    text = tiny_backbone.encode_text(captions)
    noise = torch.randn(text.shape, generator=torch.Generator().manual_seed(0))
    return PairFeatures(3 * text + 0.3 * text.std() * noise, captions, text)


@pytest.mark.parametrize(("build", "options"), METHODS)
def test_a_fit_learns_and_repeats(build: Any, options: Any, pairs: PairFeatures, tiny_backbone: Any) -> None:
    told: list[tuple[int, float]] = []
    torch.manual_seed(5)
    drawn = torch.get_rng_state()
    phi, record = build.fit(tiny_backbone, pairs, options, Watch(on_step=lambda step, loss: told.append((step, loss))))
    assert torch.equal(torch.get_rng_state(), drawn), "the caller's random numbers were touched"
    assert type(phi) is build and not phi.training and not any(p.requires_grad for p in phi.parameters())
    assert phi(pairs.image[:2]).shape == (2, 1, 160)
    assert [step for step, _ in told] == list(range(1, 9))
    assert sum(loss for _, loss in told[-2:]) < sum(loss for _, loss in told[:2])
    assert record["history"] == {"step": [1, 8], "loss": [told[0][1], told[-1][1]]} and record["loss"] == told[-1][1]
    assert record["rows"] == 64 and record["steps"] == 8 and record["seconds"] > 0
    assert record["recall_at_1"] == recall_at_1(tiny_backbone, phi, pairs.image)

    again, _ = build.fit(tiny_backbone, pairs, options)
    other, _ = build.fit(tiny_backbone, pairs, replace(options, seed=1))
    for key, value in phi.state_dict().items():
        assert torch.equal(again.state_dict()[key], value) and not torch.equal(other.state_dict()[key], value)


def test_a_longer_fit_finds_the_pictures(pairs: PairFeatures, tiny_backbone: Any) -> None:
    _, record = Pic2Word.fit(
        tiny_backbone, pairs, quick(Pic2WordOptions, steps=40, batch_size=64, warmup=2, dropout=0.0)
    )
    assert record["recall_at_1"] > 0.5  # 1/64 by chance
    assert record["history"]["step"] == [1, 10, 20, 30, 40]


class Recorded(NullProgress):
    """Which bars were shown, and how far they came."""

    def __init__(self) -> None:
        self.bars: dict[str, int] = {}

    def track(self, items: Any, description: str = "", total: int | None = None) -> Any:
        for item in items:
            yield item
            self.bars[description] = self.bars.get(description, 0) + 1


def test_progress_shows_both_stages_of_searle(pairs: PairFeatures, tiny_backbone: Any) -> None:
    shown = Recorded()
    Searle.fit(tiny_backbone, pairs, quick(SearleOptions, steps=2, batch_size=8, oti=OTIOptions(steps=3)), Watch(shown))
    assert shown.bars == {"optimising pseudo-words 1 to 64 of 64": 3, "training the inversion network": 2}


def test_batches_hold_no_row_twice_and_every_row_in_turn(pairs: PairFeatures) -> None:
    from motacli.inversions.training import InversionOptions, train_inversion

    seen: list[list[int]] = []

    def objective(phi: torch.nn.Module, rows: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        seen.append(rows.tolist())
        return sum(p.sum() for p in phi.parameters())  # type: ignore[return-value]

    train_inversion(torch.nn.Linear(2, 2), objective, 10, InversionOptions(steps=7, batch_size=4))
    assert all(len(set(rows)) == 4 for rows in seen)
    assert all(not set(seen[i]) & set(seen[i + 1]) for i in (0, 2, 4))
    seen.clear()
    train_inversion(torch.nn.Linear(2, 2), objective, 3, InversionOptions(steps=2, batch_size=99))
    assert [sorted(rows) for rows in seen] == [[0, 1, 2], [0, 1, 2]]


def test_what_cannot_be_trained_on_is_refused(pairs: PairFeatures, tiny_backbone: Any) -> None:
    with pytest.raises(DataError, match="1 pictures are too few"):
        Pic2Word.fit(tiny_backbone, PairFeatures(pairs.image[:1], ("x",), pairs.text[:1]), quick(Pic2WordOptions))
    broken = replace(pairs, image=torch.full_like(pairs.image, torch.inf))
    with pytest.raises(MotaError, match="not finite at step 1"):
        Pic2Word.fit(tiny_backbone, broken, quick(Pic2WordOptions))


@pytest.mark.parametrize(
    ("cls", "values", "said"),
    [
        (Pic2WordOptions, {"steps": 0}, "0 steps"),
        (Pic2WordOptions, {"lr": 0.0}, "lr must be positive"),
        (Pic2WordOptions, {"batch_size": 1}, "batch_size 1"),
        (Pic2WordOptions, {"dropout": 1.0}, "dropout must lie in"),
        (Pic2WordOptions, {"sharpness": 0.0}, "sharpness must be positive"),
        (Pic2WordOptions, {"word_penalty": -1.0}, "word_penalty must not be negative"),
        (LinCIROptions, {"noise": -1.0}, "noise"),
        (LinCIROptions, {"variants": 0}, "variants"),
        (SearleOptions, {"temperature": 0}, "temperature"),
        (SearleOptions, {"oti": {"ema": 2.0}}, "ema"),
        (SearleOptions, {"oti": {"stepz": 2}}, "did you mean 'steps'"),
    ],
)
def test_options_out_of_range_are_refused(cls: Any, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_options(cls, values, "options")


# ---------------------------------------------------------------------------------------------- the parts


@pytest.mark.parametrize(
    ("caption", "runs"),
    [
        ("a red circle on a blue background", [(0, 3), (4, 7)]),
        ("on the wall", [(1, 3)]),
        ("in front of it", []),
        ("", []),
        ("two dots, and A STAR", [(0, 2), (3, 5)]),
        ("a man riding a horse", [(0, 2), (3, 5)]),
        ("a dotted star, painted over a wall", [(0, 3), (5, 7)]),
    ],
)
def test_light_runs(caption: str, runs: list[tuple[int, int]]) -> None:
    assert light_runs(caption) == runs
    assert first_concept(caption) == (runs[0] if runs else (0, 1))


def test_phrases_with_their_own_concept_are_themselves(tiny_backbone: Any) -> None:
    captions = ("circle near a star", "a photo of circle")
    prompts = [caption_prompt(tiny_backbone, *pair) for pair in zip(captions, [(0, 1), (3, 4)], strict=True)]
    (circle,) = tiny_backbone.tokenize("circle")
    word = tiny_backbone.embed_tokens(torch.tensor([[circle], [circle]]))
    expected = tiny_backbone.encode_text(captions)
    assert torch.allclose(spliced_features(tiny_backbone, prompts, word), expected, atol=1e-3)


def test_inversion_of_single_pictures_comes_closer_part_by_part(pairs: PairFeatures, tiny_backbone: Any) -> None:
    phrases = CaptionBook(tiny_backbone, pairs)

    def similarity(steps: int) -> float:
        words = invert(tiny_backbone, pairs.image[:8], phrases, OTIOptions(steps=steps, ema=0.5, templates="short"))
        assert words.shape == (8, 160) and not words.requires_grad
        found = spliced_features(tiny_backbone, [photo_prompt(tiny_backbone)] * 8, words[:, None])
        return float(F.cosine_similarity(found, pairs.image[:8]).mean())

    assert similarity(25) > similarity(1) + 0.1
    options = OTIOptions(steps=2, batch_size=3)
    split = invert(tiny_backbone, pairs.image[:6], phrases, options)
    assert split.shape == (6, 160)
    assert torch.equal(invert(tiny_backbone, pairs.image[:3], phrases, options), split[:3])
    assert torch.equal(invert(tiny_backbone, pairs.image[3:6], phrases, options, first=3), split[3:])


def test_the_two_sided_loss_by_hand() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    b = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    # Every anchor: its positive at similarity 1, two negatives at 0.
    expected = -math.log(math.exp(4) / (math.exp(4) + 2))
    assert float(two_sided(a, b, 0.25)) == pytest.approx(expected, rel=1e-5)
    assert float(two_sided(a, b.flip(0), 0.25)) > expected + 1


def test_distillation_is_at_its_best_where_phi_gives_the_optimised_words(
    pairs: PairFeatures, tiny_backbone: Any
) -> None:
    phrases, options = CaptionBook(tiny_backbone, pairs), SearleOptions(phrase_weight=0.0)
    phi, rows = Searle(joint_dim=128, text_width=160).eval(), torch.arange(16)
    words = phi(pairs.image)[:, 0].detach()
    matched, crossed = (
        SearleObjective(tiny_backbone, pairs.image, target, phrases, options)(phi, rows, torch.Generator())
        for target in (words, words.flip(0))
    )
    assert float(matched.detach()) < float(crossed.detach())


def test_a_softer_temperature_and_a_penalty_are_options_of_ours(pairs: PairFeatures, tiny_backbone: Any) -> None:
    rows, noise = torch.arange(8), torch.Generator()
    phi = Pic2Word(joint_dim=128, text_width=160).eval().requires_grad_(False)
    words = phi(pairs.image[:8])
    plain = Pic2WordObjective(tiny_backbone, pairs)(phi, rows, noise)
    fined = Pic2WordObjective(tiny_backbone, pairs, Pic2WordOptions(word_penalty=2.0))(phi, rows, noise)
    assert torch.allclose(fined, plain + 2 * words.square().mean())
    softer = Pic2WordObjective(tiny_backbone, pairs, Pic2WordOptions(sharpness=1e-6))(phi, rows, noise)
    assert float(softer) == pytest.approx(math.log(8), abs=1e-3) and float(plain) != pytest.approx(float(softer))
