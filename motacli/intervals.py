"""How sure a number is: 95 % intervals by drawing the queries anew (Efron, 1979).

They cover which queries were asked, not seeds of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from motacli.contracts import Benchmark, EvalUnit
from motacli.errors import MotaError
from motacli.evaluation import UnitResult, tag_unit, tagged_rows

RESAMPLES = 2000
LEVEL = 0.95
_AT_ONCE = 1 << 21
"""Numbers that a block of resamples holds at once."""

Interval = tuple[float, float]


def drawn_means(values: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """Means ``(R, M)`` of values ``(Q, M)`` over ``Q`` queries drawn with replacement, the same draws for all M."""
    queries = len(values)
    if not queries:
        raise MotaError("no values to draw an interval from")

    def block(size: int) -> np.ndarray:
        drawn = rng.integers(0, queries, (size, queries)) + queries * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * queries).reshape(size, queries)
        means: np.ndarray = counts @ values / queries
        return means

    return np.concatenate([block(size) for size in resample_blocks(resamples, queries)])


def resample_blocks(resamples: int, queries: int) -> Iterator[int]:
    """Sizes of blocks of resamples that fit the memory set aside."""
    size = max(_AT_ONCE // max(queries, 1), 1)
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def percentile_interval(means: np.ndarray, level: float = LEVEL) -> Interval:
    """The percentile interval of drawn means ``(resamples,)``."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def report_intervals(
    benchmark: Benchmark, units: Sequence[EvalUnit], results: Sequence[UnitResult], resamples: int = RESAMPLES
) -> dict[str, dict[str, Interval]]:
    """Intervals in percent of everything that `motacli.evaluation.report_units` reports.

    For averages queries are drawn within each unit, as its number of queries is no accident.
    """
    drawn: dict[str, Mapping[str, np.ndarray]] = {}
    intervals: dict[str, dict[str, Interval]] = {}
    for unit, result in zip(units, results, strict=True):
        drawn[result.name] = _drawn(result.per_query, range(result.n), resamples)
        intervals[result.name] = _intervals(drawn[result.name])
        for metric, by_tag in result.by_tag.items():
            tagged = {tag: _drawn(result.per_query, tagged_rows(unit, tag), resamples)[metric] for tag in by_tag}
            intervals[tag_unit(benchmark, result.name, metric)] = _intervals(tagged)
    return {**intervals, **_averages(benchmark, drawn, resamples)}


def _drawn(per_query: Mapping[str, Sequence[float]], rows: Sequence[int], resamples: int) -> dict[str, np.ndarray]:
    """Drawn means in percent ``(resamples,)`` of each metric over some of the queries."""
    if not per_query:
        return {}
    values = 100 * np.array(list(per_query.values())).T[list(rows)]
    return dict(zip(per_query, drawn_means(values, np.random.default_rng(0), resamples).T, strict=True))


def _averages(
    benchmark: Benchmark, drawn: Mapping[str, Mapping[str, Any]], resamples: int
) -> dict[str, dict[str, Interval]]:
    rows = [
        benchmark.averages({name: {m: float(means[i]) for m, means in unit.items()} for name, unit in drawn.items()})
        for i in range(resamples)
    ]
    return {
        name: {metric: percentile_interval(np.array([row[name][metric] for row in rows])) for metric in rows[0][name]}
        for name in rows[0]
    }


def _intervals(drawn: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    return {metric: percentile_interval(means) for metric, means in drawn.items()}
