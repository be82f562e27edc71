"""Triplets of several domains: exact shares, the old batches where nothing is mixed, features from several files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motacli.adapters.batches import row_order, shuffled_batches
from motacli.adapters.domains import Draws, Mixture, PooledFeatures, apportioned
from motacli.adapters.options import TrainOptions
from motacli.errors import DataError, UsageError

OPTIONS = TrainOptions(batch_size=10, seed=3)


def mixture(sizes: Sequence[int], *shares: float) -> Mixture:
    return Mixture(tuple(f"{place}.jsonl" for place in range(len(sizes))), tuple(sizes), shares)


def some(mixed: Mixture, options: TrainOptions = OPTIONS, batches: int = 40) -> list[np.ndarray]:
    return list(islice(mixed.batches(options), batches))


@pytest.mark.parametrize("sizes", [(50,), (20, 30), (1, 1, 48)])
def test_a_pool_gives_the_batches_of_a_single_file(sizes: tuple[int, ...]) -> None:
    expected = islice(shuffled_batches(50, 10, np.random.default_rng([3, 7])), 40)
    assert np.array_equal(some(mixture(sizes)), list(expected))


def test_every_batch_has_its_shares() -> None:
    for batch in some(mixture((40, 30), 0.7, 0.3)):
        assert [(batch < 40).sum(), (batch >= 40).sum()] == [7, 3]


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(2, 130))
def test_what_rounding_owes_is_paid_later(shares: list[float], size: int) -> None:
    total = np.zeros(len(shares))
    for step, numbers in enumerate(islice(apportioned(shares, size), 60), 1):
        assert sum(numbers) == size and min(numbers) >= 0
        total += numbers
        assert np.abs(total - np.array(shares) / sum(shares) * size * step).max() < (1 if len(shares) < 3 else 2)


def test_a_domain_is_passed_over_whole() -> None:
    rows = np.concatenate([batch[batch >= 40] for batch in some(mixture((40, 30), 0.7, 0.3), batches=20)])
    first, second = rows[:30], rows[30:]
    assert sorted(first) == sorted(second) == list(range(40, 70)) and first.tolist() != second.tolist()


def test_the_seed_decides() -> None:
    mixed = mixture((40, 30), 0.7, 0.3)
    assert np.array_equal(some(mixed), some(mixed))
    assert not np.array_equal(some(mixed), some(mixed, TrainOptions(batch_size=10, seed=4)))
    assert not np.array_equal(row_order(0, 0).permutation(9), row_order(0, 1).permutation(9))


def test_draws_are_counted() -> None:
    mixed, pool = mixture((40, 30), 0.7, 0.3), mixture((40, 30))
    for counted, expected in ((Draws(mixed, OPTIONS), [70, 30]), (Draws(pool, OPTIONS), None)):
        batches = list(islice(counted, 10))
        assert sum(counted.drawn) == 100 and counted.drawn[0] == sum((batch < 40).sum() for batch in batches)
        assert expected in (None, counted.drawn)
    one, other = mixed.domains([70, 30])
    assert (one.source, one.triplets, one.share, one.drawn) == ("0.jsonl", 40, 0.7, 70)
    assert pool.domains([60, 40])[1].share is None and other.drawn == 30


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.5, 0.3, 0.2), "3 shares .* for 2 files"),
        ((0.5, 0.6), "no parts of one"),
        ((1.0, 0.0), "no parts of one"),
        ((1.5, -0.5), "no parts of one"),
        ((float("nan"), 0.5), "no parts of one"),
    ],
)
def test_shares_are_checked(shares: tuple[float, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        mixture((40, 30), *shares)


def test_thirds_are_understood() -> None:
    assert [len(batch) for batch in some(mixture((9, 9, 9), 0.33, 0.33, 0.33))] == [10] * 40


def test_a_domain_smaller_than_its_part_of_a_batch_is_refused() -> None:
    with pytest.raises(UsageError, match=r"1\.jsonl has 2 triplets, and a batch of 10 takes 3"):
        mixture((40, 2), 0.7, 0.3).batches(OPTIONS)


# ---------------------------------------------------------------------------------------------- features


class Features:
    def __init__(self, rows: dict[str, list[float]], fingerprint: str = "f") -> None:
        self.rows, self.ids, self.fingerprint = rows, tuple(rows), fingerprint

    def features(self, ids: Sequence[str]) -> np.ndarray:
        return np.array([self.rows[id] for id in ids], np.float32)


def test_features_come_from_the_first_file_that_has_them() -> None:
    pool = PooledFeatures({"a": Features({"x": [1, 0], "y": [0, 1]}), "b": Features({"y": [0, 1.000001], "z": [3, 3]})})
    assert pool.ids == ("x", "y", "z") and pool.fingerprint == "f"
    assert pool.features(["z", "y", "x", "y"]).tolist() == [[3, 3], [0, 1], [1, 0], [0, 1]]


def test_features_that_contradict_each_other_or_are_not_there() -> None:
    pool = PooledFeatures({"a": Features({"x": [1, 0]}), "b": Features({"x": [0, 1], "y": [1, 1]})})
    assert pool.features(["y"]).tolist() == [[1, 1]]
    with pytest.raises(DataError, match="picture 'x' has different features in a and b"):
        pool.features(["y", "x"])
    with pytest.raises(DataError, match="none of the 2 feature files has 'n', 'o'"):
        pool.features(["n", "y", "o", "n"])
    with pytest.raises(DataError, match="different backbones"):
        PooledFeatures({"a": Features({}), "b": Features({}, "g")})
