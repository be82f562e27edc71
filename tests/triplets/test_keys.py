"""Sets of digests against Python's own sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motacli.triplets import keys
from motacli.triplets.keys import KeySet, digest64

EXTREMES = [0, 1, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]
CLASHING = st.integers(0, 40).map(lambda number: number << 32)
"""Digests with the same low bits, which all belong into one slot."""
KEYS = st.integers(0, 2**64 - 1) | st.sampled_from(EXTREMES) | st.integers(0, 9) | CLASHING


@given(st.lists(KEYS, max_size=80), st.lists(KEYS), st.sampled_from([2, 4, 64]))
def test_a_key_set_is_a_set(added: list[int], asked: list[int], slots: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_FIRST_SLOTS", slots)
        ours, python = KeySet(), set[int]()
        for key in added:
            assert ours.add(key) == (key not in python)
            python.add(key)
            assert len(ours) == len(python)
        for key in (*asked, *added, *EXTREMES):
            assert (key in ours) == (key in python)


def test_a_set_of_many_texts_stays_small() -> None:
    found = KeySet()
    for number in range(100_000):
        assert found.add(digest64(str(number)))
    assert len(found) == 100_000 and not any(found.add(digest64(str(number))) for number in range(100_000))
    assert not any(digest64(str(number)) in found for number in range(100_000, 110_000))
    assert 12 * 100_000 < len(found._slots) * found._slots.itemsize < 23 * 100_000


def test_where_a_text_ends_counts() -> None:
    texts = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ()]
    assert len({digest64(*parts) for parts in texts}) == len(texts)
    assert digest64("ab", "c") == digest64("ab", "c") and 0 <= digest64("x") < 2**64


def test_half_a_surrogate_pair_has_a_digest() -> None:
    assert digest64("\ud800") != digest64("\udc00")


def test_a_digest_is_the_same_in_every_version() -> None:
    """Unfinished runs and batches know their rows again by it."""
    assert digest64("a dog", "1.jpg") == 0x7EA96BCDD7440AE4
