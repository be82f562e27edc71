"""From features to numbers: one unit of a benchmark scored by its protocol, and the table of all units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from motacli.contracts import Benchmark, EvalUnit, IndexStore, Ranking, Ties
from motacli.errors import MotaError, UsageError
from motacli.listed import Listed, depth, list_best
from motacli.metrics import is_recall, percent, query_values
from motacli.ragged import Ragged, ragged_rows
from motacli.ranking_checks import check_excluded, check_features
from motacli.retrieval import (
    BLOCK_SIZE,
    TargetRanks,
    private_ranks,
    private_top,
    target_and_subset_ranks,
    target_ranks,
    top_k,
)

TAGGED_METRICS = ("mAP@10",)


@dataclass(frozen=True, slots=True)
class UnitResult:
    """The scores of one unit.

    ``metrics`` are percentages, ``hits`` the integer counts behind the recalls, ``per_query`` one value in 0..1 per
    metric and query, in the order of the unit's queries, and ``ranks`` the 1-based ranks of each query's targets.
    ``by_tag`` holds for some metrics the percentage over the queries that carry a tag: metric to tag to percent.
    ``ties`` counts the queries whose target has exactly the score of another entry. Where that could move a metric,
    ``tie_range`` tells from what (every such tie lost) to what (won), in percent. ``top`` and ``subset_top`` are
    rankings, kept on request. Without public targets only they are filled. ``store_recall`` is there where an index
    store ranked: ``recall@K``, the percentage of the exact ranking's best K that its own best K hold.
    """

    name: str
    n: int
    metrics: Mapping[str, float]
    hits: Mapping[str, int]
    per_query: Mapping[str, list[float]] = field(repr=False)
    by_tag: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    ties: int = 0
    tie_range: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ranks: Sequence[Sequence[float]] = field(default=(), repr=False)
    top: Ranking | None = field(default=None, repr=False)
    subset_top: Ranking | None = field(default=None, repr=False)
    store_recall: Mapping[str, float] = field(default_factory=dict)


def score_unit(
    unit: EvalUnit,
    gallery: np.ndarray,
    queries: np.ndarray,
    keep_top: int = 0,
    *,
    block_size: int = BLOCK_SIZE,
    store: IndexStore | None = None,
) -> UnitResult:
    """Score composed queries ``(Q, d)`` against gallery features ``(G, d)``, rows in the unit's order, all unit length.

    ``keep_top`` keeps that many of each query's best entries. With a ``store`` of these gallery features rankings come
    from it, as far as the metrics look, and are compared with the exact ones; ranks in subsets stay exact. Raises
    `UsageError` for one where each query has a gallery of its own.
    """
    check_features(gallery, "gallery")
    check_features(queries, "query")
    rows = _Rows.of(unit)
    _check_shapes(unit, gallery, queries)
    scored = bool(unit.metrics) and len(rows.targets.flat) > 0
    k = depth(unit.metrics, keep_top)
    listed = None if store is None else rows.listed(unit, store, queries, gallery, k)
    ranks = rows.ranks(queries, gallery, block_size, listed) if scored else None
    values = ranks.values(unit, unit.ties) if ranks else {}
    return replace(
        unit_result(unit, values, ranks.everyone.ranks if ranks else Ragged.of([])),
        ties=int(np.count_nonzero(ranks.everyone.tied)) if ranks else 0,
        tie_range=ranks.tie_range(unit) if ranks else {},
        top=_ranking(unit, *rows.top(queries, gallery, keep_top, block_size, listed)) if keep_top else None,
        subset_top=_ranking(unit, *private_top(queries, gallery, rows.subsets, keep_top))
        if keep_top and rows.subsets is not None
        else None,
        store_recall={f"recall@{k}": listed.recall(rows.top(queries, gallery, k, block_size)[0])} if listed else {},
    )


def unit_result(unit: EvalUnit, values: Mapping[str, list[float]], ranks: Ragged) -> UnitResult:
    """What follows from each query's values in 0..1 (by metric) and its targets' ranks."""
    return UnitResult(
        name=unit.name,
        n=len(unit.queries),
        metrics={name: percent(column) for name, column in values.items()},
        hits={name: round(sum(column)) for name, column in values.items() if is_recall(name)},
        per_query=values,
        by_tag=_by_tag(unit, values),
        ranks=ranks.lists(),
    )


def report_units(benchmark: Benchmark, results: Sequence[UnitResult]) -> dict[str, dict[str, dict[str, Any]]]:
    """The JSON report ``{"units": {name: {"metrics", "hits", "n", "ties", "tie_range"}}}``.

    Behind the units come those derived from them: metrics by tag, such as ``circo_val_semantic_mAP@10``, and averages.
    """
    units: dict[str, dict[str, Any]] = {
        result.name: {
            "metrics": dict(result.metrics),
            "hits": dict(result.hits),
            "n": result.n,
            "ties": result.ties,
            "tie_range": dict(result.tie_range),
            **({"index_store": dict(result.store_recall)} if result.store_recall else {}),
        }
        for result in results
    }
    for result in results:
        for metric, by_tag in result.by_tag.items():
            units[tag_unit(benchmark, result.name, metric)] = _derived(by_tag, [result])
    for name, metrics in benchmark.averages({result.name: result.metrics for result in results}).items():
        units[name] = _derived(metrics, results)
    return {"units": units}


def tag_unit(benchmark: Benchmark, unit: str, metric: str) -> str:
    """What a metric's breakdown by the tags of a unit's queries is called."""
    return f"{unit}_{getattr(benchmark, 'tags_name', 'by_tag')}_{metric}"


def _derived(metrics: Mapping[str, float], results: Sequence[UnitResult]) -> dict[str, Any]:
    total = {"n": sum(result.n for result in results), "ties": sum(result.ties for result in results)}
    return {"metrics": dict(metrics), "hits": {}, **total, "tie_range": {}}


@dataclass(frozen=True, slots=True)
class _Rows:
    """A unit's ids as rows of its gallery matrix; ``candidates`` and ``subsets`` are None where no query has any."""

    targets: Ragged
    candidates: Ragged | None
    subsets: Ragged | None
    excluded: np.ndarray | None

    @classmethod
    def of(cls, unit: EvalUnit) -> _Rows:
        row = {id: index for index, id in enumerate(unit.gallery)}
        queries = unit.queries
        try:
            return cls(
                targets=ragged_rows([query.targets for query in queries], row),
                candidates=ragged_rows([q.candidates for q in queries], row) if queries[0].candidates else None,
                # A subset narrows the ranking of the gallery, so its ties follow the gallery's order.
                subsets=ragged_rows([q.subset for q in queries], row).sorted() if queries[0].subset else None,
                excluded=np.array([row.get(q.reference, -1) for q in queries]) if unit.exclude_reference else None,
            )
        except KeyError as error:
            raise MotaError(f"{unit.name}: a query names {error.args[0]!r}, which is not in the gallery") from None
        except IndexError:
            raise MotaError(f"{unit.name}: no queries to score") from None

    def listed(self, unit: EvalUnit, store: IndexStore, queries: np.ndarray, gallery: np.ndarray, k: int) -> Listed:
        """What a store finds of the gallery."""
        if self.candidates is not None:
            raise UsageError(f"{unit.name}: each query ranks a gallery of its own", "leave --index-store out")
        check_excluded(self.targets, self.excluded)
        return list_best(store, queries, gallery, k, self.excluded)

    def ranks(self, queries: np.ndarray, gallery: np.ndarray, block_size: int, listed: Listed | None = None) -> _Ranks:
        """Ranks of the targets in the gallery, or in each query's own, and in the queries' subsets if they have any."""
        if listed is not None:
            subset = None if self.subsets is None else private_ranks(queries, gallery, self.subsets, self.targets)
            return _Ranks(listed.ranks(queries, gallery, self.targets), subset)
        if self.candidates is not None:
            return _Ranks(private_ranks(queries, gallery, self.candidates, self.targets), None)
        if self.subsets is None:
            ranks = target_ranks(queries, gallery, self.targets, excluded=self.excluded, block_size=block_size)
            return _Ranks(ranks, None)
        both = target_and_subset_ranks(
            queries, gallery, self.targets, self.subsets, excluded=self.excluded, block_size=block_size
        )
        return _Ranks(*both)

    def top(
        self, queries: np.ndarray, gallery: np.ndarray, k: int, block_size: int, listed: Listed | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best ``k`` of the gallery, or of each query's own."""
        if listed is not None:
            return listed.top(k)
        if self.candidates is not None:
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


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Ranks of the targets among everyone, and within the queries' subsets where they have any."""

    everyone: TargetRanks
    subset: TargetRanks | None

    def values(self, unit: EvalUnit, ties: Ties) -> dict[str, list[float]]:
        """Each metric's value for every query, ties decided by a rule."""
        return {name: self._column(name, unit, ties) for name in unit.metrics}

    def tie_range(self, unit: EvalUnit) -> dict[str, tuple[float, float]]:
        """The metrics that ties can move: in percent with all of them lost, and won."""
        if not self.everyone.tied.any() and not (self.subset and self.subset.tied.any()):
            return {}
        lost, won = (self.values(unit, ties) for ties in ("lost", "won"))
        spans = {name: (percent(lost[name]), percent(won[name])) for name in unit.metrics}
        return {name: (low, high) for name, (low, high) in spans.items() if low < high}

    def _column(self, name: str, unit: EvalUnit, ties: Ties) -> list[float]:
        recall = "mAP@" not in name
        subset = _decided(self.subset, ties, recall) if self.subset else None
        return query_values(name, _decided(self.everyone, ties, recall), subset, unit.ap_divisor)


def _decided(ranks: TargetRanks, ties: Ties, recall: bool) -> Ragged:
    """The ranks by one rule for ties; for recalls those of the first target, which may tie with other targets too."""
    if ties == "gallery order":
        return ranks.ranks
    if recall:
        first = ranks.first_best if ties == "won" else ranks.first_worst
        return Ragged(first, np.arange(len(first) + 1))
    return ranks.best if ties == "won" else ranks.worst


def _by_tag(unit: EvalUnit, values: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    tags = dict.fromkeys(tag for query in unit.queries for tag in query.tags)
    return {
        name: {tag: percent([values[name][row] for row in tagged_rows(unit, tag)]) for tag in tags}
        for name in TAGGED_METRICS
        if name in values and tags
    }


def tagged_rows(unit: EvalUnit, tag: str) -> list[int]:
    """Which queries carry a tag."""
    return [row for row, query in enumerate(unit.queries) if tag in query.tags]


def _ranking(unit: EvalUnit, rows: np.ndarray, scores: np.ndarray) -> Ranking:
    ids = tuple(tuple(unit.gallery[row] for row in line) for line in rows)
    return Ranking(tuple(query.id for query in unit.queries), ids, scores)
