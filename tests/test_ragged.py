"""Lists of different lengths in one array."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motacli.ragged import Ragged, ragged_rows


@given(st.lists(st.lists(st.integers(-9, 9), max_size=4), max_size=6))
def test_lists_come_back(lists: list[list[int]]) -> None:
    ragged = Ragged.of(lists)
    assert ragged.lists() == lists and len(ragged) == len(lists)
    assert [list(part) for part in ragged] == lists
    assert ragged.lengths.tolist() == [len(own) for own in lists]
    assert ragged.owners.tolist() == [index for index, own in enumerate(lists) for _ in own]
    assert ragged.single == all(len(own) == 1 for own in lists)
    assert Ragged.of(ragged) is ragged
    assert ragged.like(-ragged.flat).lists() == [[-value for value in own] for own in lists]
    assert ragged.sorted().lists() == [sorted(own) for own in lists]
    longest = max(map(len, lists), default=0)
    assert ragged.padded(99).tolist() == [own + [99] * (longest - len(own)) for own in lists]
    if all(lists):
        assert ragged.first().tolist() == [own[0] for own in lists]


def test_ids_become_rows() -> None:
    assert ragged_rows([("b",), ("a", "b")], {"a": 0, "b": 1}).lists() == [[1], [0, 1]]
    assert Ragged.of([[0.5], [np.inf]], float).first().tolist() == [0.5, np.inf]
