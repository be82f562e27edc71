"""Paired differences: intervals, p-values and their correction, against definitions worked out the slow way."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motacli.errors import MotaError
from motacli.significance import Difference, Resampled, holm, paired_difference, resample

SCORES = st.lists(st.tuples(*[st.floats(0, 1, width=16)] * 2), min_size=1, max_size=12)


def test_identical_runs_do_not_differ() -> None:
    values = [0.0, 1.0, 0.25, 1.0]
    assert paired_difference(values, values) == Difference(mean=0.0, low=0.0, high=0.0, p=1.0)


def test_a_clear_difference_is_significant() -> None:
    found = paired_difference([0.0] * 40, [1.0] * 30 + [0.0] * 10)
    assert found.mean == 0.75 and 0.5 < found.low < 0.75 < found.high < 1.0
    assert found.p == 1 / 10_001  # the signs observed are one of the choices, so it is never zero


def test_as_many_won_as_lost_is_no_difference() -> None:
    found = paired_difference([1.0, 0.0] * 20, [0.0, 1.0] * 20)
    assert found.mean == 0.0 and found.p == 1.0 and found.low < 0 < found.high


def test_nothing_to_pair() -> None:
    with pytest.raises(MotaError, match="2 and 1 values cannot be paired"):
        paired_difference([0.0, 1.0], [0.0])
    with pytest.raises(MotaError, match="no values"):
        paired_difference([], [])


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_swapping_the_runs_turns_every_sign(pairs: list[tuple[float, float]]) -> None:
    one, two = zip(*pairs, strict=True)
    there, back = (paired_difference(*runs, resamples=200) for runs in ((one, two), (two, one)))
    assert there.p == back.p
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_equal_to_a_loop_over_the_same_draws(pairs: list[tuple[float, float]]) -> None:
    resamples = 60
    one, two = map(list, zip(*pairs, strict=True))
    differences = [b - a for a, b in pairs]
    moved = [d for d in differences if d != 0]
    rng, flipped, drawn = np.random.default_rng(5), [], []
    for _ in range(resamples):
        signs = [-1 if share < 0.5 else 1 for share in rng.random(len(moved))]
        flipped.append(sum(sign * d for sign, d in zip(signs, moved, strict=True)) / len(differences))
    for _ in range(resamples):
        rows = rng.integers(0, len(differences), len(differences))
        drawn.append(sum(differences[row] for row in rows) / len(differences))
    mean = sum(differences) / len(differences)
    extreme = sum(abs(value) >= abs(mean) - 1e-9 for value in flipped)

    found = paired_difference(one, two, 5, resamples=resamples)
    assert found.p == (1 + extreme) / (1 + resamples)
    assert (found.mean, found.low, found.high) == pytest.approx((mean, *np.quantile(drawn, [0.025, 0.975])))


def test_p_approaches_that_of_all_choices_of_signs() -> None:
    differences = [0.5, -0.25, 1.0, 0.75, 0.1, -0.6, 0.3, 0.9]
    sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=len(differences))]
    exact = np.mean(np.array(sums) >= abs(sum(differences)) - 1e-9)
    assert paired_difference([0.0] * 8, differences).p == pytest.approx(exact, abs=0.015)


def test_intervals_and_p_values_keep_their_promise() -> None:
    """Of 95 % intervals about 95 % hold the truth, and chance alone is called significant about 5 % of the time."""
    rng, held, called = np.random.default_rng(0), 0, 0
    for number in range(300):
        differences = rng.choice([-1.0, 0.0, 1.0], size=(80, 1), p=[0.2, 0.4, 0.4])  # the truth is 0.2
        (found,) = resample(differences, number, 500).differences()
        held += found.low <= 0.2 <= found.high
        (chance,) = resample(rng.choice([-1.0, 0.0, 1.0], size=(80, 1)), number, 500).differences()
        called += chance.p < 0.05
    assert 0.90 <= held / 300 <= 0.98 and called / 300 <= 0.08


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(1).normal(size=(7, 3))
    whole = resample(differences, 2, 50)
    monkeypatch.setattr("motacli.intervals._AT_ONCE", 30)
    parts = resample(differences, 2, 50)
    assert np.allclose(whole.drawn, parts.drawn) and np.allclose(whole.flipped, parts.flipped)


def test_columns_share_their_draws() -> None:
    column = np.random.default_rng(3).normal(size=(9, 1))
    together = resample(np.hstack([column, 2 * column]), 4, 50)
    assert np.allclose(together.drawn[:, 1], 2 * together.drawn[:, 0])
    assert np.allclose(together.flipped[:, 1], 2 * together.flipped[:, 0])
    assert together.column(1).differences() == together.differences()[1:]


def test_an_average_weighs_its_sets_alike() -> None:
    few, many = resample(np.full((3, 1), 1.0), 0, 40), resample(np.full((50, 1), 0.0), 1, 40)
    found = Resampled.average([few, many])
    assert found.observed == pytest.approx([0.5])
    assert np.allclose(found.drawn, 0.5)  # within a set without spread drawing anew changes nothing
    assert np.allclose(found.flipped, (few.flipped + many.flipped) / 2)


@pytest.mark.parametrize(
    ("given_values", "wanted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02, 0.02, 1.0], [0.06, 0.06, 1.0]),
    ],
)
def test_holm(given_values: list[float], wanted: list[float]) -> None:
    assert holm(given_values) == pytest.approx(wanted)
