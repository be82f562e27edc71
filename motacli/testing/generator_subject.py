"""What the checks of a triplet generator look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any

from motacli.contracts import ImageText, Outcome, Triplet

FARTHEST = 5000
"""Rows that a generator may have read before its first outcome."""


class ReadTooFar(Exception):
    """A generator wants more rows than it can have use for."""


@dataclass(frozen=True)
class GeneratorSubject:
    """A generator, rows of captions that make sense, and whether equal rows give equal triplets."""

    generator: Any
    rows: tuple[ImageText, ...]
    deterministic: bool

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What it makes of the rows."""
        return list(self.generator.generate(iter(self.rows)))

    @property
    def triplets(self) -> list[tuple[ImageText, Triplet]]:
        """Its triplets, each with its row."""
        return [(outcome.row, triplet) for outcome in self.outcomes for triplet in outcome.triplets]


def endless(rows: Sequence[ImageText]) -> Iterator[ImageText]:
    """The rows again and again, by other ids; `ReadTooFar` where nobody stops."""
    for number in count():
        if number == FARTHEST:
            raise ReadTooFar(number)
        yield replace(rows[number % len(rows)], id=f"row {number}")
