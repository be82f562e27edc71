"""Numbers counted on the way through a stream, and what describes them afterwards."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Summary:
    """``n`` numbers: mean, standard deviation, extremes and quantiles (the smallest value that reaches the share)."""

    n: int
    mean: float
    std: float
    min: float
    median: float
    p95: float
    max: float


def summary(counts: Mapping[Any, int]) -> Summary | None:
    """The summary of numbers given as how often each occurs; None of none."""
    total = sum(counts.values())
    if not total:
        return None
    mean = sum(value * n for value, n in counts.items()) / total
    variance = sum(n * (value - mean) ** 2 for value, n in counts.items()) / total
    ordered = sorted(counts)
    ends = ordered[0], ordered[-1]
    median, p95 = (_quantile(ordered, counts, math.ceil(share * total)) for share in (0.5, 0.95))
    return Summary(total, mean, math.sqrt(variance), ends[0], median, p95, ends[1])


def _quantile(ordered: Sequence[Any], counts: Mapping[Any, int], place: int) -> float:
    seen = 0
    for value in ordered:
        seen += counts[value]
        if seen >= place:
            break
    return float(value)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of numbers in bins of equal width from ``start``; the last bin includes its upper end."""

    start: float
    width: float
    counts: tuple[int, ...]


def histogram(counts: Mapping[Any, int], start: float, width: float, bins: int) -> Histogram:
    """The histogram of numbers given as how often each occurs; what lies outside falls into the first or last bin."""
    found: Counter[int] = Counter()
    for value, n in counts.items():
        # Rounded first: 0.3 / 0.1 is a little less than three.
        found[min(max(math.floor(round((value - start) / width, 9)), 0), bins - 1)] += n
    return Histogram(start, width, tuple(found[place] for place in range(bins)))
