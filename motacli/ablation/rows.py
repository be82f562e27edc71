"""From the results of jobs to the rows of a table: means and spreads over seeds, and differences to the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from motacli.ablation.grid import Grid
from motacli.ablation.jobs import Result
from motacli.ablation.variant import BASE

Results = Mapping[tuple[str, str, int | None], Result]
"""By inversion network, variant and seed; a network alone is the variant `BASE` without a seed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A variant on a benchmark: percent, one of ``values`` per seed, and their sample standard deviation ``std``.

    ``delta`` is the mean difference to the reference, seed by seed, in points, and ``delta_std`` its standard
    deviation. A single seed has no spread: 0. ``trainable`` numbers were learned, in ``seconds`` on the average.
    """

    inversion: str
    variant: str
    benchmark: str
    metric: str
    mean: float
    std: float
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    delta: float
    delta_std: float
    trainable: int
    seconds: float


def make_rows(
    grid: Grid, inversions: Sequence[str], seeds: Sequence[int], headlines: Mapping[str, str], results: Results
) -> list[Row]:
    """One row per inversion network, variant and benchmark; ``headlines`` are the benchmarks and their metrics."""
    names = [BASE, *(variant.name for variant in grid.variants)]
    return [
        _row(inversion, name, benchmark, metric, grid.reference, seeds, results)
        for inversion in inversions
        for name in names
        for benchmark, metric in headlines.items()
    ]


def _row(
    inversion: str, name: str, benchmark: str, metric: str, reference: str, seeds: Sequence[int], results: Results
) -> Row:
    found = _of_seeds(results, inversion, name, seeds)
    values = [result.scores[benchmark][metric] for result in found]
    wanted = [result.scores[benchmark][metric] for result in _of_seeds(results, inversion, reference, seeds)]
    deltas = [value - other for value, other in zip(values, wanted, strict=True)]
    return Row(
        inversion=inversion,
        variant=name,
        benchmark=benchmark,
        metric=metric,
        mean=fmean(values),
        std=spread(values),
        seeds=tuple(seeds),
        values=tuple(values),
        delta=fmean(deltas),
        delta_std=spread(deltas),
        trainable=found[0].trainable,
        seconds=fmean(result.seconds for result in found),
    )


def _of_seeds(results: Results, inversion: str, name: str, seeds: Sequence[int]) -> list[Result]:
    """A variant's results; a network alone gives every seed the same."""
    return [results[inversion, name, None if name == BASE else seed] for seed in seeds]


def spread(values: Sequence[float]) -> float:
    """The sample standard deviation; 0 for a single value, and for equal ones, whatever rounding makes of them."""
    return stdev(values) if len(set(values)) > 1 else 0.0
