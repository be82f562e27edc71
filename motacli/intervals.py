"""How sure a number is: 95 % intervals by drawing the queries anew (Efron, 1979).

They cover which queries were asked, not seeds of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from motacli.contracts import Benchmark, EvalUnit
from motacli.errors import MotaError
from motacli.evaluation import UnitResult, tag_unit, tagged_rows

RESAMPLES = 2000
LEVEL = 0.95

Interval = tuple[float, float]


def drawn_means(values: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """Means ``(resamples, M)`` of values ``(M, N)`` of N queries drawn with replacement, the same draws for all M."""
    if values.shape[1] == 0:
        raise MotaError("no values to draw an interval from")
    rng = np.random.default_rng(seed)
    count = values.shape[1]
    return np.array([values[:, rng.integers(0, count, count)].mean(axis=1) for _ in range(resamples)])


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
    values = 100 * np.array(list(per_query.values()))[:, list(rows)]
    return dict(zip(per_query, drawn_means(values, resamples).T, strict=True))


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
