"""What tells rows apart: ids, and sets of 8-byte digests that know millions again in a few bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from random import Random

from motacli.contracts import ImageText

_FIRST_SLOTS = 1 << 12
_FULLEST = 0.7


def digest64(*parts: str) -> int:
    """A digest of texts in 64 bits; where one text ends and the next begins counts."""
    digest = blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return int.from_bytes(digest.digest(), "little")


def row_random(seed: int, row: ImageText) -> Random:
    """Random numbers that depend on the seed and on the row's id and caption only."""
    # Bytes, since half of a surrogate pair would not be UTF-8; they seed as their text does.
    return Random(f"{seed}|{row.id}|{row.caption}".encode("utf-8", "backslashreplace"))


class KeySet:
    """A set of `digest64` values in 12 to 23 bytes each, where Python's own takes about 60.

    A hash table with linear probing; digests are as good as random, so that they are their own hashes. Among a million
    texts, some two have the same digest with a probability of 3e-8.
    """

    def __init__(self) -> None:
        self._slots = _empty(_FIRST_SLOTS)
        self._count = 0
        self._has_zero = False  # zero marks a free slot

    def __len__(self) -> int:
        return self._count + self._has_zero

    def __contains__(self, key: int) -> bool:
        return self._slots[_place(self._slots, key)] == key if key else self._has_zero

    def add(self, key: int) -> bool:
        """Add a digest; whether it is new."""
        if not key:
            new = not self._has_zero
            self._has_zero = True
            return new
        place = _place(self._slots, key)
        if self._slots[place] == key:
            return False
        self._slots[place] = key
        self._count += 1
        if self._count > _FULLEST * len(self._slots):
            self._grow()
        return True

    def _grow(self) -> None:
        slots = _empty(2 * len(self._slots))
        for key in self._slots:
            if key:
                slots[_place(slots, key)] = key
        self._slots = slots


def _empty(slots: int) -> array[int]:
    return array("Q", bytes(8)) * slots


def _place(slots: array[int], key: int) -> int:
    """Where a digest is, or the free slot where it belongs; the number of slots is a power of two."""
    mask = len(slots) - 1
    place = key & mask
    while slots[place] and slots[place] != key:
        place = (place + 1) & mask
    return place


def with_own_ids(rows: Iterable[ImageText]) -> Iterator[ImageText]:
    """The rows, under another id where theirs came up before: ``id~2``, ``id~3``."""
    seen = KeySet()
    for row in rows:
        name, number = row.id, 1
        while not seen.add(digest64(name)):
            number += 1
            name = f"{row.id}~{number}"
        yield row if name == row.id else replace(row, id=name)
