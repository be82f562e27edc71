"""From features to numbers: one unit of a benchmark scored by its protocol, and the table of all units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motacli.contracts import Benchmark, EvalUnit, Ranking
from motacli.errors import MotaError
from motacli.metrics import is_recall, percent, query_values
from motacli.retrieval import BLOCK_SIZE, TargetRanks, check_features, private_ranks, private_top, target_ranks, top_k

TAGGED_METRICS = ("mAP@10",)


@dataclass(frozen=True, slots=True)
class UnitResult:
    """The scores of one unit.

    ``metrics`` are percentages, ``hits`` the integer counts behind the recalls, ``per_query`` one value in 0..1 per
    metric and query, in the order of the unit's queries. ``by_tag`` holds ``mAP@10[negation]`` and the like. ``ties``
    counts the queries whose target has exactly the score of another entry, so that the order of the gallery had a say.
    ``top`` and ``subset_top`` are rankings, kept on request. Without public targets only they are filled.
    """

    name: str
    n: int
    metrics: Mapping[str, float]
    hits: Mapping[str, int]
    per_query: Mapping[str, list[float]] = field(repr=False)
    by_tag: Mapping[str, float]
    ties: int
    top: Ranking | None = field(default=None, repr=False)
    subset_top: Ranking | None = field(default=None, repr=False)


def score_unit(
    unit: EvalUnit, gallery: np.ndarray, queries: np.ndarray, keep_top: int = 0, *, block_size: int = BLOCK_SIZE
) -> UnitResult:
    """Score composed queries ``(Q, d)`` against gallery features ``(G, d)``, rows in the unit's order, all unit length.

    ``keep_top`` keeps that many of each query's best entries.
    """
    check_features(gallery, "gallery")
    check_features(queries, "query")
    rows = _Rows.of(unit)
    _check_shapes(unit, gallery, queries)
    scored = bool(unit.metrics) and any(rows.targets)
    ranks = rows.ranks(queries, gallery, block_size) if scored else None
    values = _values(unit.metrics, ranks, rows.subset_ranks(queries, gallery)) if ranks else {}
    return UnitResult(
        name=unit.name,
        n=len(unit.queries),
        metrics={name: percent(column) for name, column in values.items()},
        hits={name: round(sum(column)) for name, column in values.items() if is_recall(name)},
        per_query=values,
        by_tag=_by_tag(unit, values),
        ties=int(np.count_nonzero(ranks.tied)) if ranks else 0,
        top=_ranking(unit, *rows.top(queries, gallery, keep_top, block_size)) if keep_top else None,
        subset_top=_ranking(unit, *private_top(queries, gallery, rows.subsets, keep_top))
        if keep_top and rows.subsets
        else None,
    )


def report_units(benchmark: Benchmark, results: Sequence[UnitResult]) -> dict[str, dict[str, dict[str, Any]]]:
    """The JSON report ``{"units": {name: {"metrics", "hits", "n", "ties", "by_tag"}}}``, averages last."""
    units: dict[str, dict[str, Any]] = {
        result.name: {
            "metrics": dict(result.metrics),
            "hits": dict(result.hits),
            "n": result.n,
            "ties": result.ties,
            "by_tag": dict(result.by_tag),
        }
        for result in results
    }
    total = {"n": sum(result.n for result in results), "ties": sum(result.ties for result in results)}
    averages = benchmark.averages({result.name: result.metrics for result in results})
    for name, metrics in averages.items():
        units[name] = {"metrics": dict(metrics), "hits": {}, **total, "by_tag": {}}
    return {"units": units}


def bootstrap_ci(
    values: Sequence[float], seed: int = 0, *, level: float = 0.95, resamples: int = 2000
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of per-query values, in the values' own unit (Efron, 1979).

    Queries are drawn with replacement, so it covers which queries were asked, not seeds of training.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise MotaError("no values to draw an interval from")
    rng = np.random.default_rng(seed)
    means = [data[rng.integers(0, data.size, data.size)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A unit's ids as rows of its gallery matrix; ``candidates`` and ``subsets`` are empty where no query has any."""

    targets: list[list[int]]
    candidates: list[list[int]]
    subsets: list[list[int]]
    excluded: np.ndarray | None

    @classmethod
    def of(cls, unit: EvalUnit) -> _Rows:
        row = {id: index for index, id in enumerate(unit.gallery)}
        queries = unit.queries
        try:
            return cls(
                targets=[[row[id] for id in query.targets] for query in queries],
                candidates=[[row[id] for id in q.candidates] for q in queries] if queries[0].candidates else [],
                # A subset narrows the ranking of the gallery, so its ties follow the gallery's order.
                subsets=[sorted(row[id] for id in q.subset) for q in queries] if queries[0].subset else [],
                excluded=np.array([row.get(q.reference, -1) for q in queries]) if unit.exclude_reference else None,
            )
        except KeyError as error:
            raise MotaError(f"{unit.name}: a query names {error.args[0]!r}, which is not in the gallery") from None
        except IndexError:
            raise MotaError(f"{unit.name}: no queries to score") from None

    def ranks(self, queries: np.ndarray, gallery: np.ndarray, block_size: int) -> TargetRanks:
        """Ranks of the targets in the gallery, or in each query's own."""
        if self.candidates:
            return private_ranks(queries, gallery, self.candidates, self.targets)
        return target_ranks(queries, gallery, self.targets, excluded=self.excluded, block_size=block_size)

    def subset_ranks(self, queries: np.ndarray, gallery: np.ndarray) -> TargetRanks | None:
        """Ranks of the targets in the queries' subsets, if they have any."""
        return private_ranks(queries, gallery, self.subsets, self.targets) if self.subsets else None

    def top(self, queries: np.ndarray, gallery: np.ndarray, k: int, block_size: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``k`` of the gallery, or of each query's own."""
        if self.candidates:
            return private_top(queries, gallery, self.candidates, k)
        return top_k(queries, gallery, k, excluded=self.excluded, block_size=block_size)


def _check_shapes(unit: EvalUnit, gallery: np.ndarray, queries: np.ndarray) -> None:
    wanted = {"gallery": (len(unit.gallery), gallery), "query": (len(unit.queries), queries)}
    for name, (rows, features) in wanted.items():
        if len(features) != rows:
            raise MotaError(f"{unit.name}: {len(features)} {name} features for {rows} rows", "encode the unit again")
    if gallery.shape[1] != queries.shape[1]:
        raise MotaError(
            f"{unit.name}: gallery features have {gallery.shape[1]} dimensions, query features {queries.shape[1]}",
            "both have to come from the same backbone",
        )
    answered = sum(bool(query.targets) for query in unit.queries)
    if answered not in (0, len(unit.queries)):
        raise MotaError(f"{unit.name}: only {answered} of {len(unit.queries)} queries have a target")


def _values(metrics: Sequence[str], ranks: TargetRanks, subset: TargetRanks | None) -> dict[str, list[float]]:
    return {name: query_values(name, ranks.ranks, subset.ranks if subset else None) for name in metrics}


def _by_tag(unit: EvalUnit, values: Mapping[str, list[float]]) -> dict[str, float]:
    tags = dict.fromkeys(tag for query in unit.queries for tag in query.tags)
    return {
        f"{name}[{tag}]": percent([v for v, query in zip(values[name], unit.queries, strict=True) if tag in query.tags])
        for name in TAGGED_METRICS
        if name in values
        for tag in tags
    }


def _ranking(unit: EvalUnit, rows: np.ndarray, scores: np.ndarray) -> Ranking:
    ids = tuple(tuple(unit.gallery[row] for row in line) for line in rows)
    return Ranking(tuple(query.id for query in unit.queries), ids, scores)
