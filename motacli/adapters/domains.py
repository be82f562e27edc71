"""Triplets of several domains in one training: how often each is drawn, and features that lie in several files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Any, Protocol

import numpy as np

from motacli.adapters.batches import row_order, shuffled_batches
from motacli.adapters.options import TrainOptions
from motacli.errors import DataError, UsageError, listed

ROUNDING = 0.01
"""How far shares may be from a sum of one, as ``0.33,0.33,0.33`` is, and features of one picture from each other.

The same picture in another batch differs in the last digits, another picture by far more.
"""


class ImageFeatures(Protocol):
    """What is needed of a `motacli.cache.FeatureCache`."""

    @property
    def ids(self) -> tuple[str, ...]: ...

    @property
    def fingerprint(self) -> str: ...

    def features(self, ids: Sequence[str]) -> Any:
        """Float32 features ``(N, d)`` of pictures."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What a training had of one file of triplets; ``share`` is what was asked for, None where all are pooled."""

    source: str
    triplets: int
    share: float | None
    drawn: int


@dataclass(frozen=True)
class Mixture:
    """Domains whose triplets lie one after the other: ``sizes`` of them, and their ``shares`` of what is drawn.

    Without shares all triplets are one pool, and each has the same chance.
    """

    sources: tuple[str, ...]
    sizes: tuple[int, ...]
    shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.shares:
            return
        said = ",".join(f"{share:g}" for share in self.shares)
        if len(self.shares) != len(self.sizes):
            raise UsageError(f"{len(self.shares)} shares ({said}) for {len(self.sizes)} files", "give one for each")
        if not all(0 < share <= 1 for share in self.shares) or abs(sum(self.shares) - 1) > ROUNDING + 1e-9:
            raise UsageError(f"the shares {said} are no parts of one", "as in --mix 0.7,0.3")

    def batches(self, options: TrainOptions) -> Iterator[np.ndarray]:
        """Batches of row numbers for ever; without shares they are those of a single file of all the triplets.

        With shares, every domain is passed over again and again, each time in a new order, and its rows so far are
        never more than one away from its share of all rows so far, for two domains, and hardly more for many [ours].
        Raises `UsageError` where a domain has fewer triplets than a batch takes of it: negatives would be repeated.
        """
        if not self.shares:
            return shuffled_batches(sum(self.sizes), options.batch_size, row_order(options.seed))
        for source, rows, share in zip(self.sources, self.sizes, self.shares, strict=True):
            if rows < (wanted := math.ceil(share * options.batch_size)):
                raise UsageError(
                    f"{source} has {rows} triplets, and a batch of {options.batch_size} takes {wanted} of them",
                    "lower its share or --batch-size",
                )
        return self._mixed(options)

    def _mixed(self, options: TrainOptions) -> Iterator[np.ndarray]:
        starts = np.cumsum([0, *self.sizes[:-1]])
        decks = [_Deck(rows, row_order(options.seed, place)) for place, rows in enumerate(self.sizes)]
        for numbers in apportioned(self.shares, options.batch_size):
            drawn = [start + deck.take(n) for start, deck, n in zip(starts, decks, numbers, strict=True)]
            yield np.concatenate(drawn)

    def without(self, learnt: np.ndarray) -> Mixture:
        """The mixture of those rows, ascending row numbers ``(M,)``, that are left to learn from."""
        counts = np.diff(np.searchsorted(learnt, np.cumsum([0, *self.sizes])))
        return replace(self, sizes=tuple(int(count) for count in counts))

    def domains(self, drawn: Sequence[int]) -> tuple[Domain, ...]:
        """The domains, and how many rows were drawn of each."""
        shares = self.shares or (None,) * len(self.sizes)
        return tuple(map(Domain, self.sources, self.sizes, shares, drawn))


class Draws:
    """A mixture's batches, counting on the way how many rows each domain gave: ``drawn``."""

    def __init__(self, mixture: Mixture, options: TrainOptions) -> None:
        self._batches = mixture.batches(options)
        self._ends = np.cumsum(mixture.sizes)
        self.drawn = [0] * len(mixture.sizes)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        rows = next(self._batches)
        found = np.bincount(np.searchsorted(self._ends, rows, side="right"), minlength=len(self.drawn))
        self.drawn = [total + int(n) for total, n in zip(self.drawn, found, strict=True)]
        return rows


class _Deck:
    """The rows of a domain, shuffled anew whenever they run out."""

    def __init__(self, rows: int, rng: np.random.Generator) -> None:
        self._rows, self._rng = rows, rng
        self._order = np.empty(0, dtype=np.intp)

    def take(self, number: int) -> np.ndarray:
        while len(self._order) < number:
            self._order = np.concatenate([self._order, self._rng.permutation(self._rows)])
        taken, self._order = self._order[:number], self._order[number:]
        return taken


def apportioned(shares: Sequence[float], size: int) -> Iterator[list[int]]:
    """Batch after batch, how many rows of each domain: ``size`` together, what rounding owes is paid in later ones."""
    wanted = [share / sum(shares) * size for share in shares]
    given = [0] * len(shares)
    for step in count(1):
        owed = [step * each - done for each, done in zip(wanted, given, strict=True)]
        numbers = [max(0, math.floor(each + 1e-9)) for each in owed]
        while (left := size - sum(numbers)) != 0:
            rest = [each - number for each, number in zip(owed, numbers, strict=True)]
            if left > 0:
                numbers[rest.index(max(rest))] += 1
            else:
                place = min((place for place, number in enumerate(numbers) if number), key=rest.__getitem__)
                numbers[place] -= 1
        given = [done + number for done, number in zip(given, numbers, strict=True)]
        yield numbers


class PooledFeatures:
    """Several feature files as one: a picture's features come from the first that has it.

    ``files`` are the features by the names that messages call them. Raises `DataError` where two come from different
    backbones.
    """

    def __init__(self, files: Mapping[str, ImageFeatures]) -> None:
        self._files = dict(files)
        for (one, a), (other, b) in pairwise(self._files.items()):
            if a.fingerprint != b.fingerprint:
                raise DataError(
                    f"{one} and {other} hold features of different backbones ({a.fingerprint}, {b.fingerprint})",
                    "make them with the same --model",
                )
        self.fingerprint = next(iter(self._files.values())).fingerprint
        self.ids = tuple(dict.fromkeys(id for file in self._files.values() for id in file.ids))

    def features(self, ids: Sequence[str]) -> np.ndarray:
        """Float32 features ``(N, d)`` of pictures.

        Raises `DataError` for pictures that no file has, and for an id that stands for different pictures in two files.
        """
        found: dict[str, tuple[str, np.ndarray]] = {}
        for name, file in self._files.items():
            known = set(file.ids)
            here = [id for id in dict.fromkeys(ids) if id in known]
            for id, row in zip(here, file.features(here) if here else (), strict=True):
                first, other = found.setdefault(id, (name, row))
                if np.linalg.norm(row - other) > ROUNDING * np.linalg.norm(other):
                    raise DataError(
                        f"picture {id!r} has different features in {first} and {name}",
                        "give the pictures of different data sets ids of their own",
                    )
        missing = [id for id in dict.fromkeys(ids) if id not in found]
        if missing:
            raise DataError(f"none of the {len(self._files)} feature files has {listed(missing)}")
        return np.stack([found[id][1] for id in ids])
