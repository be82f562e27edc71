"""Lists of different lengths in one array, such as the targets of every query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

Lists = Sequence[Sequence[float]] | Sequence[np.ndarray]


@dataclass(frozen=True, slots=True)
class Ragged:
    """``Q`` lists one behind the other: ``flat`` ``(P,)``, list ``i`` being ``flat[starts[i]:starts[i + 1]]``."""

    flat: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, lists: Lists | Ragged, dtype: type = np.int64) -> Ragged:
        """From lists of numbers."""
        if isinstance(lists, Ragged):
            return lists
        starts = np.cumsum([0, *map(len, lists)])
        return cls(np.fromiter(chain.from_iterable(lists), dtype, count=int(starts[-1])), starts)

    def like(self, flat: np.ndarray) -> Ragged:
        """Other numbers ``(P,)`` in lists of the same lengths."""
        return Ragged(flat, self.starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        part: np.ndarray = self.flat[self.starts[index] : self.starts[index + 1]]
        return part

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """How long each list is ``(Q,)``."""
        return np.diff(self.starts)

    @property
    def owners(self) -> np.ndarray:
        """Which list each number is from ``(P,)``."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def single(self) -> bool:
        """Whether every list holds exactly one number."""
        return len(self.flat) == len(self) and bool((self.lengths == 1).all())

    def first(self) -> np.ndarray:
        """The first number of each list ``(Q,)``; no list may be empty."""
        firsts: np.ndarray = self.flat[self.starts[:-1]]
        return firsts

    def lists(self) -> list[list[float]]:
        """The numbers as lists of Python's own."""
        numbers = self.flat.tolist()
        if self.single:
            return [[number] for number in numbers]
        bounds = self.starts.tolist()
        return [numbers[start:end] for start, end in pairwise(bounds)]

    def sorted(self) -> Ragged:
        """Each list in ascending order."""
        return self.like(self.flat[np.lexsort((self.flat, self.owners))])

    def padded(self, filler: float) -> np.ndarray:
        """The lists as rows ``(Q, longest)``, ``filler`` behind the shorter ones."""
        lengths = self.lengths
        width = int(lengths.max(initial=0))
        if (lengths == width).all():
            return self.flat.reshape(len(self), width)
        rows = np.full((len(self), width), filler, dtype=self.flat.dtype)
        rows[np.arange(width) < lengths[:, None]] = self.flat
        return rows


def ragged_rows(ids: Sequence[Sequence[str]], row: Mapping[str, int]) -> Ragged:
    """Lists of ids as lists of their rows; `KeyError` for an id that has none."""
    starts = np.cumsum([0, *map(len, ids)])
    flat = map(row.__getitem__, chain.from_iterable(ids))
    return Ragged(np.fromiter(flat, np.int64, count=int(starts[-1])), starts)
