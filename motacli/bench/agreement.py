"""Whether two evaluations found the same numbers, up to what float32 arithmetic cannot tell apart.

Our scores are exact and the baseline's are rounded, so two entries whose scores nearly tie may change places. A query's
values may differ only between what they are with every such entry before its targets, and with every one behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from motacli.bench.synthetic import UnitFeatures
from motacli.errors import MotaError
from motacli.metrics import query_values


class Scores(Protocol):
    """Metrics in percent, and their values in 0..1, one per query."""

    @property
    def metrics(self) -> Mapping[str, float]: ...

    @property
    def per_query(self) -> Mapping[str, Sequence[float] | np.ndarray]: ...


SAME = 1e-6
NEAR_TIE = 2e-6
"""Scores closer than this may change places: dot products of float32 unit rows are off by a few 1e-7."""
HINT = "a comparison of speed would mean nothing; please report this"


def near_ties(data: UnitFeatures, ours: Scores, theirs: Scores) -> int:
    """How many queries differ by a near tie; `MotaError` if any differs by more."""
    one, other = _table(data, ours), _table(data, theirs)  # (metrics, Q)
    differing = np.flatnonzero(~_same(one, other).all(axis=0))
    for row in differing:
        worst, best = _bounds(data, int(row))
        for values in (one[:, row], other[:, row]):
            if not ((values >= worst - SAME) & (values <= best + SAME)).all():
                raise _disagreement(data, ours, theirs, int(row))
    return len(differing)


def _table(data: UnitFeatures, scores: Scores) -> np.ndarray:
    """The values per query ``(metrics, Q)``, once it is certain that they are what the metrics are made of."""
    names = data.unit.metrics
    if {*names} != {*scores.metrics} or {*names} != {*scores.per_query}:
        raise MotaError(f"{data.unit.name}: a side lacks a metric of {', '.join(names)}", HINT)
    values = np.array([scores.per_query[name] for name in names], dtype=np.float64)
    for name, mean in zip(names, 100 * values.mean(axis=1), strict=True):
        if not _same(scores.metrics[name], mean):
            raise MotaError(f"{data.unit.name}: {name} is {scores.metrics[name]}, but its queries' mean {mean}", HINT)
    return values


def _same(one: np.ndarray | float, other: np.ndarray | float) -> np.ndarray:
    return np.asarray(np.abs(np.subtract(one, other)) <= SAME)  # in this form NaN is the same as nothing


def _bounds(data: UnitFeatures, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most that each metric of a query can be."""
    unit, query = data.unit, data.unit.queries[row]
    place = {id: index for index, id in enumerate(unit.gallery)}
    scores = data.gallery.astype(np.float64) @ data.queries[row].astype(np.float64)
    targets = [place[id] for id in query.targets]
    own = scores.copy()
    if unit.exclude_reference:
        own[place[query.reference]] = -np.inf
    group = np.full(len(scores), -np.inf)
    members = [place[id] for id in query.subset]
    group[members] = scores[members]
    (least, most), (group_least, group_most) = _rank_range(own, targets), _rank_range(group, targets)
    return _values(unit.metrics, most, group_most), _values(unit.metrics, least, group_least)


def _rank_range(scores: np.ndarray, targets: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest rank of each target among ``scores`` ``(G,)``."""
    wanted = scores[targets][:, None]
    least = 1 + (scores > wanted + NEAR_TIE).sum(axis=1)
    return least, (scores >= wanted - NEAR_TIE).sum(axis=1)  # which counts the target itself


def _values(metrics: Sequence[str], ranks: np.ndarray, group_ranks: np.ndarray) -> np.ndarray:
    return np.array([query_values(name, [ranks], [group_ranks])[0] for name in metrics])


def _disagreement(data: UnitFeatures, ours: Scores, theirs: Scores, row: int) -> MotaError:
    unit, one, other = data.unit, ours.per_query, theirs.per_query
    name = next(name for name in unit.metrics if not _same(one[name][row], other[name][row]))
    return MotaError(
        f"{unit.name}: {name} is {ours.metrics[name]:.4f} by our evaluation and {theirs.metrics[name]:.4f} by the "
        f"baseline, and no tie explains query {unit.queries[row].id}",
        HINT,
    )
