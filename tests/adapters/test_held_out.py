"""Triplets that are held out, and the weights that they may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from motacli.adapters.computing import Composed
from motacli.adapters.domains import Mixture
from motacli.adapters.files import state_digest
from motacli.adapters.frozen_half import TripletFeatures
from motacli.adapters.held_out import FEWEST, score_held_out, split_rows
from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.adapters.options import TrainOptions
from motacli.adapters.run import TrainedAdapter, train_prepared
from motacli.compose import tokenize_prompt
from motacli.contracts import Prompt
from motacli.errors import UsageError
from motacli.inversions.pic2word import Pic2Word
from motacli.watch import Watch

SHAPE = MotaOptions(experts=2, tokens=2, depth=2)
QUICK = TrainOptions(steps=12, batch_size=16, warmup=2, noise=0.0, held_out=0.3)


@pytest.fixture(scope="module")
def data(tiny_backbone: Any) -> TripletFeatures:
    """Three triplets to each of 30 pictures."""
    random = torch.Generator().manual_seed(0)
    captions = [f"is {colour} {number}" for number in range(30) for colour in ("red", "blue", "green")]
    prompts = tuple(tokenize_prompt(tiny_backbone, Prompt("a photo of", f"that {text}")) for text in captions)
    image, target, reference = (3 * torch.randn(90, 128, generator=random) for _ in range(3))
    return TripletFeatures(image, prompts, target, reference, pictures=np.repeat(np.arange(30), 3))


@pytest.fixture
def train(tiny_backbone: Any, inversion: Pic2Word, data: TripletFeatures) -> Any:
    def run(watch: Watch | None = None, shape: MotaOptions = SHAPE, **changes: Any) -> TrainedAdapter:
        mixture = changes.pop("mixture", None)
        options = replace(QUICK, **changes)
        return train_prepared(
            tiny_backbone, inversion, data, MotaAdapter, shape, options, mixture=mixture, watch=watch
        )  # fmt: skip

    return run


def scripted(*scores: float) -> Any:
    """Validation that says one number after the other."""
    left = list(scores)

    def validate(network: nn.Module) -> Mapping[str, float]:
        assert not network.training
        return {"R@1": left.pop(0)}

    return validate


def test_a_picture_is_on_one_side_only() -> None:
    pictures = np.repeat(np.arange(40), 3)
    learnt, held_out = split_rows(pictures, 0.25)
    assert sorted([*learnt, *held_out]) == list(range(120)) and len(held_out) == 30
    assert not set(pictures[learnt]) & set(pictures[held_out])
    assert split_rows(pictures, 0.25)[1].tolist() == held_out.tolist()
    assert held_out.tolist() != list(range(30))


def test_too_few_to_tell_anything_are_not_held_out() -> None:
    pictures = np.arange(10 * FEWEST)
    assert len(split_rows(pictures, 0.09)[1]) == 0 < len(split_rows(pictures, 0.1)[1]) == FEWEST
    assert len(split_rows(pictures, 0.0)[1]) == 0


def test_recall_among_the_held_out(data: TripletFeatures) -> None:
    """Queries that are their targets find them, one that is another's does not; of equal targets any is right."""
    target = data.target.clone()
    target[20], composed = target[21], target.clone()
    composed[20] = target[21]
    composed[10] = target[11]
    twice = replace(data, target=target)

    def composer(features: torch.Tensor, prompts: Any) -> Composed:
        rows = [data.prompts.index(prompt) for prompt in prompts]
        return Composed(composed[rows], torch.ones(len(rows), 1), lambda *_: None)

    found = score_held_out(composer, twice, np.arange(30), 10.0)  # type: ignore[arg-type]
    assert found["held-out-R@1"] == pytest.approx(100 * 29 / 30) and found["held-out-R@10"] == 100
    assert found["held-out-loss"] > 0


def test_held_out_triplets_are_not_learned_from(train: Any, data: TripletFeatures, tiny_backbone: Any) -> None:
    trained = train(batch_size=80)
    assert (trained.held_out, trained.triplets) == (27, 90)
    held_out = split_rows(data.pictures, 0.3)[1]  # type: ignore[arg-type]
    data.target[held_out] += 100.0
    changed = train(batch_size=80)
    data.target[held_out] -= 100.0
    assert state_digest(changed.adapter) == state_digest(trained.adapter)
    assert [look["step"] for look in trained.history.validation] == [12]
    assert changed.history.validation != trained.history.validation


def test_looking_changes_no_weights(train: Any) -> None:
    often = train(Watch(validate_every=2))
    assert state_digest(often.adapter) == state_digest(train().adapter)
    assert [look["step"] for look in often.history.validation] == [2, 4, 6, 8, 10, 12] and often.kept == "last"
    losses = [look["held-out-loss"] for look in often.history.validation]
    assert len(set(losses)) == 6


def test_the_best_weights_are_kept(train: Any) -> None:
    best = train(Watch(validate=scripted(1, 3, 2, 3), validate_every=3, keep_best="R@1", validated_on="toy"))
    assert (best.kept, best.history.kept_step, best.validated_on) == ("best R@1", 6, "toy")
    seen: dict[int, str | None] = {}

    def spy(network: nn.Module) -> Mapping[str, float]:
        seen[len(seen) + 1] = state_digest(network)
        return {"R@1": 0.0}

    train(Watch(validate=spy, validate_every=3))
    assert state_digest(best.adapter) == seen[2] != seen[4]


def test_a_loss_is_best_when_low() -> None:
    watch = Watch(keep_best="held-out-loss", patience=2)
    looks = [{"held-out-loss": value} for value in (3.0, 2.0, 2.5, 2.0)]
    assert watch.is_best([], looks[0]) and watch.is_best(looks[:1], looks[1]) and not watch.is_best(looks[:3], looks[3])
    assert not watch.is_hopeless(looks[:3]) and watch.is_hopeless(looks)
    assert not Watch(keep_best="held-out-loss").is_hopeless(looks) and not Watch(patience=1).is_hopeless(looks)


def test_training_stops_where_nothing_gets_better(train: Any) -> None:
    watch = Watch(validate=scripted(1, 2, 2, 1), validate_every=2, keep_best="R@1", patience=2)
    trained = train(watch, steps=100)
    assert trained.history.step[-1] == 8 if trained.history.step else True
    assert [look["step"] for look in trained.history.validation] == [2, 4, 6, 8] and trained.history.kept_step == 4


def test_a_stopped_training_does_not_go_on(train: Any, tmp_path: Path) -> None:
    how = {"validate_every": 2, "keep_best": "R@1", "patience": 2, "work": tmp_path, "save_every": 1}
    first = train(Watch(validate=scripted(1, 2, 2, 1), **how), steps=100)  # type: ignore[arg-type]
    again = train(Watch(validate=scripted(), **how), steps=100)  # type: ignore[arg-type]
    assert state_digest(again.adapter) == state_digest(first.adapter)
    assert again.history.validation == first.history.validation


def test_an_unknown_metric_is_refused(train: Any) -> None:
    with pytest.raises(UsageError, match="no 'R@7'") as caught:
        train(Watch(keep_best="R@7", validate_every=1))
    assert "held-out-R@10" in caught.value.hint


def test_domains_lose_their_held_out_rows(train: Any, data: TripletFeatures) -> None:
    mixture = Mixture(("a", "b"), (60, 30), (0.5, 0.5))
    learnt, _ = split_rows(data.pictures, 0.3)  # type: ignore[arg-type]
    left = mixture.without(learnt)
    assert left.sizes == (int((learnt < 60).sum()), int((learnt >= 60).sum())) and left.shares == mixture.shares
    trained = train(mixture=mixture)
    assert [domain.drawn for domain in trained.domains] == [96, 96]
    assert [domain.triplets for domain in trained.domains] == [60, 30]


def test_the_weight_of_fusion(train: Any) -> None:
    asked: list[float] = []

    def validate(network: Any) -> Mapping[str, float]:
        weight = float(network.fusion.weight)
        asked.append(weight)
        return {"R@10": 50 - abs(weight - 0.35), "R@1": weight}

    chosen = train(Watch(validate=validate), replace(SHAPE, fusion="validated"))
    assert chosen.fusion_weight == pytest.approx(0.3) and float(chosen.adapter.fusion.weight) == pytest.approx(0.3)
    assert asked == pytest.approx([0.0, *(step / 10 for step in range(11))])  # the look at the end comes first
    other = train(Watch(validate=validate, keep_best="R@1"), replace(SHAPE, fusion="validated"))
    assert other.fusion_weight == pytest.approx(1.0)
    with pytest.raises(UsageError, match="nothing to choose it by"):
        train(shape=replace(SHAPE, fusion="validated"))
    fixed = train(shape=replace(SHAPE, fusion="fixed", fusion_weight=0.2))
    learned = train(shape=replace(SHAPE, fusion="learned", fusion_weight=0.2))
    assert fixed.fusion_weight == pytest.approx(0.2) != pytest.approx(learned.fusion_weight, abs=1e-4)
    assert train().fusion_weight is None
