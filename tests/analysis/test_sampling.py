"""Samples: fair, repeatable, and of the sizes asked for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motacli.analysis.sampling import Reservoir, Strata, proportional


def drawn(size: int, length: int, seed: int) -> list[int]:
    reservoir = Reservoir[int](size, seed)
    for item in range(length):
        reservoir.add(item)
    return reservoir.items()


def test_every_item_has_the_same_chance() -> None:
    counts = Counter(item for seed in range(2000) for item in drawn(3, 10, seed))
    assert all(500 < counts[item] < 700 for item in range(10)), counts
    first = Counter(drawn(3, 10, seed)[0] for seed in range(2000))
    assert all(first[item] > 120 for item in range(10)), "the order is random as well"


def test_a_sample_repeats_with_its_seed() -> None:
    assert drawn(5, 100, 1) == drawn(5, 100, 1) != drawn(5, 100, 2)
    assert sorted(drawn(5, 3, 0)) == [0, 1, 2]


def test_strata_draw_of_each_kind() -> None:
    strata = Strata[int](4, 0)
    for item in range(30):
        strata.add("even" if item % 2 == 0 else "odd", item)
    assert strata.counts() == {"even": 15, "odd": 15}
    found = strata.draw({"even": 2, "odd": 9})
    assert [len(items) for items in found.values()] == [2, 4] and all(item % 2 == 0 for item in found["even"])


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ({"a": 70, "b": 20, "c": 10}, 10, {"a": 6, "b": 2, "c": 2}),
        ({"a": 990, "b": 1}, 10, {"a": 9, "b": 1}),
        ({"a": 3, "b": 2}, 10, {"a": 3, "b": 2}),
        ({"a": 5, "b": 1, "c": 1}, 2, {"a": 2, "b": 0, "c": 0}),
    ],
)
def test_shares_by_hand(counts: dict[str, int], total: int, expected: dict[str, int]) -> None:
    assert proportional(counts, total) == expected


@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 50), min_size=1), st.integers(1, 300))
def test_shares_add_up(counts: dict[str, int], total: int) -> None:
    sizes = proportional(counts, total)
    assert sum(sizes.values()) == min(total, sum(counts.values()))
    assert all(0 <= sizes[kind] <= counts[kind] for kind in counts)
    if total >= len(counts):
        assert min(sizes.values()) >= 1
