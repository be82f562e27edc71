"""Samples of a stream whose length nobody knows, each the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


class Reservoir(Generic[T]):
    """``size`` items of a stream, each with the same chance (algorithm R; Vitter, ACM TOMS 11(1), 1985)."""

    def __init__(self, size: int, seed: int | str) -> None:
        self.size = size
        self.seen = 0
        self._seed = seed
        self._rng = Random(f"reservoir|{seed}")
        self._kept: list[T] = []

    def add(self, item: T) -> None:
        """Offer the stream's next item."""
        self.seen += 1
        if len(self._kept) < self.size:
            self._kept.append(item)
        elif (place := self._rng.randrange(self.seen)) < self.size:
            self._kept[place] = item

    def items(self) -> list[T]:
        """What was kept, in random order: a prefix of it is a smaller sample."""
        shuffled = list(self._kept)
        Random(f"order|{self._seed}").shuffle(shuffled)
        return shuffled


class Strata(Generic[T]):
    """A reservoir for each kind of item."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._reservoirs: dict[str, Reservoir[T]] = {}

    def add(self, kind: str, item: T) -> None:
        """Offer the stream's next item."""
        if kind not in self._reservoirs:
            self._reservoirs[kind] = Reservoir(self._size, f"{self._seed}|{kind}")
        self._reservoirs[kind].add(item)

    def counts(self) -> dict[str, int]:
        """How many items of each kind there were, in order of the kinds' names."""
        return {kind: self._reservoirs[kind].seen for kind in sorted(self._reservoirs)}

    def draw(self, sizes: Mapping[str, int]) -> dict[str, list[T]]:
        """So many items of each kind, or all that were kept."""
        return {kind: self._reservoirs[kind].items()[:size] for kind, size in sizes.items()}


def proportional(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """``total`` split over kinds by their counts (largest remainders), at least one each where that can be.

    None gets more than it has.
    """
    total = min(total, sum(counts.values()))
    floor = 1 if total >= len(counts) else 0
    rest, population = total - floor * len(counts), sum(counts.values())
    quotas = {kind: rest * count / population for kind, count in counts.items()}
    sizes = {kind: min(counts[kind], floor + int(quota)) for kind, quota in quotas.items()}
    while (left := total - sum(sizes.values())) > 0:
        open_kinds = [kind for kind in counts if sizes[kind] < counts[kind]]
        open_kinds.sort(key=lambda kind: sizes[kind] - floor - quotas[kind])
        for kind in open_kinds[:left]:
            sizes[kind] += 1
    return sizes
