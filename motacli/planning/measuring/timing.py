"""Times of runs, of their phases, and the slopes between small and large ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import TypeVar

from motacli.console import Description, NullProgress
from motacli.planning.rates import Rate

T = TypeVar("T")
LEAST = 1e-7
"""Seconds of a row that cannot be told from none."""


class PhaseClock(NullProgress):
    """A `Progress` that notes when what is tracked began and ended, by its description."""

    def __init__(self) -> None:
        self.made = time.perf_counter()
        self.begun: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def track(self, items: Iterable[T], description: Description = "", total: int | None = None) -> Iterator[T]:
        """Pass ``items`` on; the phase lasts until they are exhausted or given up."""
        name = description if isinstance(description, str) else "steps"
        self.begun.setdefault(name, time.perf_counter())
        try:
            yield from items
        finally:
            self.ended[name] = time.perf_counter()


def seconds_of(work: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def slopes(pairs: Sequence[tuple[float, float]], rows: int) -> list[float]:
    """Seconds per row, of the seconds of smaller and larger runs that ``rows`` rows lie between; `LEAST` at least."""
    return [max((more - less) / rows, LEAST) for less, more in pairs]


def rate_of(seconds: Sequence[float], on: str, units: float = 1.0) -> Rate:
    """The rate of some times per row; ``units`` cores worked on it, and the rate is that of one."""
    return Rate(1 / (median(seconds) * units), 1 / (max(seconds) * units), 1 / (min(seconds) * units), on)


def size_of(values: Sequence[float], on: str) -> Rate:
    """The median of some numbers as a size, with the least and the most of them."""
    return Rate(median(values), min(values), max(values), on)


def mean_of(values: Sequence[float], on: str) -> Rate:
    """The mean of many sizes: what it takes to tell their sum."""
    return Rate(sum(values) / max(len(values), 1), on=on)
