"""Distributions of hand-made features, with known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from motacli.analysis.cosine_histograms import shared_histograms
from motacli.analysis.feature_analysis import FeatureAnalysis, analyse_features
from motacli.analysis.feature_sets import ADAPTED, BASE, CAPTION, IMAGE, MODULATED, TARGET, FeatureSets
from motacli.analysis.feature_tables import feature_tables, verdicts, warnings
from motacli.errors import DataError


def sets_of(**features: np.ndarray) -> FeatureSets:
    names = dict(image=IMAGE, modulated=MODULATED, caption=CAPTION, base=BASE, adapted=ADAPTED, target=TARGET)
    return FeatureSets(
        tuple(str(n) for n in range(len(features["image"]))),
        {names[name]: rows.astype(np.float32) for name, rows in features.items()},
    )


@pytest.fixture(scope="module")
def found() -> FeatureAnalysis:
    """Captions around one pole and images around another; MDM goes half of the way, the adapter nowhere."""
    rng = np.random.default_rng(0)
    shared, noise = rng.standard_normal((400, 6)), rng.standard_normal((5, 400, 6)) * 0.3
    north, south = np.array([4.0, 0, 0, 0, 0, 0]), np.array([-4.0, 0, 0, 0, 0, 0])
    caption = shared + noise[0] + north
    return analyse_features(
        sets_of(
            image=shared + noise[1] + south,
            modulated=2 * (shared + noise[1] + north),
            caption=caption,
            base=shared + noise[3],
            adapted=shared + noise[3],
            target=shared + noise[4],
        )
    )


def row(rows: Any, **wanted: str) -> Any:
    (one,) = [each for each in rows if all(getattr(each, name) == value for name, value in wanted.items())]
    return one


def test_a_mdm_that_closes_the_gap(found: FeatureAnalysis) -> None:
    before, after = row(found.pairs, a=IMAGE, b=CAPTION), row(found.pairs, a=MODULATED, b=CAPTION)
    assert before.accuracy.value == 1 and after.accuracy.value == pytest.approx(0.5, abs=0.08)
    assert before.gap.value > 1.5 and after.gap.value < 0.05
    assert after.frechet.value < 0.01 < 2.5 < before.frechet.value
    assert row(found.sets, name=MODULATED).norm.value > 1.9 * row(found.sets, name=IMAGE).norm.value
    changes = {each.number: each for each in found.changes if each.after == MODULATED}
    assert {name for name, each in changes.items() if each.nearer} >= {"gap", "frechet", "accuracy", "matched"}
    assert changes["gap"].difference.value == pytest.approx(after.gap.value - before.gap.value)
    assert "MDM moves image features nearer to the captions" in verdicts(found)[0]


def test_an_adapter_that_does_nothing(found: FeatureAnalysis) -> None:
    changes = [each for each in found.changes if each.after == ADAPTED]
    assert [(each.difference.value, each.difference.error, each.nearer) for each in changes] == [(0, 0, None)] * 7
    assert "neither nearer" in verdicts(found)[1]


def test_numbers_of_sets_and_rows(found: FeatureAnalysis) -> None:
    target = row(found.sets, name=TARGET)
    assert target.within.value == pytest.approx(0, abs=0.02) and target.effective_rank.value == pytest.approx(
        6, abs=0.1
    )
    assert target.participation_ratio.error > 0 and sum(target.spectrum) == pytest.approx(1, abs=0.01)
    match = row(found.matches, a=BASE, b=TARGET)
    assert match.matched.value > 0.85 and match.unmatched.value == pytest.approx(0, abs=0.02)
    assert match.margin.value == pytest.approx(match.matched.value - match.unmatched.value)
    assert sum(found.matching[f"{IMAGE} – {CAPTION}"].counts) == 400
    assert [(each.start, each.width) for each in found.within.values()] == [(-1.0, pytest.approx(2 / 60))] * 6
    assert found.frechet_floor < 0.05 and not warnings(found)
    assert feature_tables(found)[0][0] == "what changed"


def test_unmatched_cosines_are_those_of_all_other_rows() -> None:
    rng = np.random.default_rng(0)
    image, caption = rng.standard_normal((2, 30, 40)) + 0.2
    found = analyse_features(sets_of(image=image, caption=caption))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, caption))
    cosines = a @ b.T
    (match,) = found.matches
    assert match.matched.value == pytest.approx(np.trace(cosines) / 30, abs=1e-6)
    assert match.unmatched.value == pytest.approx((cosines.sum() - np.trace(cosines)) / (30 * 29), abs=1e-6)
    within = a @ a.T
    assert found.sets[0].within.value == pytest.approx((within.sum() - 30) / (30 * 29), abs=1e-6)
    assert "30 pictures in 40 dimensions" in warnings(found)[0] and not found.changes


def test_equal_sets() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 4))
    (pair,) = analyse_features(sets_of(image=rows, caption=rows)).pairs
    assert pair.gap.value == pytest.approx(0, abs=1e-9) and pair.frechet.value == pytest.approx(0, abs=1e-9)
    assert pair.accuracy.value == 0.5


def test_it_is_repeatable_and_asks_for_enough_rows() -> None:
    rows = np.random.default_rng(0).standard_normal((2, 25, 4))
    sets = sets_of(image=rows[0], caption=rows[1])
    assert analyse_features(sets, 5) == analyse_features(sets, 5) != analyse_features(sets, 6)
    with pytest.raises(DataError, match="5 rows are too few"):
        analyse_features(sets_of(image=rows[0][:5], caption=rows[1][:5]))


def test_histograms_share_their_bins_and_lose_nothing() -> None:
    found = shared_histograms({"a": np.array([0.31, 1.0000001]), "b": np.array([0.5])}, 10)
    assert found["a"].start == pytest.approx(0.3) and found["a"].counts[0] == 1 and sum(found["a"].counts) == 2
    constant = shared_histograms({"a": np.array([0.5, 0.5])}, 10)["a"]
    assert sum(constant.counts) == 2 and constant.width > 0
