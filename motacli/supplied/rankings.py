"""Ready rankings: JSON of query ids and lists of image ids, as test servers take them or as runs keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motacli.contracts import Benchmark, EvalUnit, Query
from motacli.errors import DataError, MotaError
from motacli.evaluation import UnitResult, unit_result
from motacli.metrics import cut_off, mean_parts, query_values, ranks_in
from motacli.ragged import Ragged
from motacli.supplied.files import answers_by_unit

HINT = "expected {query id: [image ids, best first]}, a test-server file, or a run's rankings/<unit>.json"
_HEADER = ("version", "metric")

Lists = Mapping[str, Sequence[str]]


def load_ranked(
    benchmark: Benchmark, root: Path, split: str | None = None, parts: Sequence[str] = ()
) -> list[EvalUnit]:
    """The units of a benchmark that rankings are about; a gallery that needs a list of its own (CIRCO) may lack it."""
    load = getattr(benchmark, "load_with_gallery", None)
    try:
        return benchmark.load(root, split, parts)
    except DataError:
        if load is None:
            raise
        return list(load(root, split, parts, (), root))


def score_rankings(units: Sequence[EvalUnit], path: Path, subset_path: Path | None = None) -> list[UnitResult]:
    """Score lists of image ids, best first; ``subset_path`` ranks within CIRR's subsets.

    A target that a list lacks stands behind its end. Metrics whose cut-off lies beyond a list that lacks a target are
    left out, since they cannot be told from it. Without ``subset_path`` a subset is read off the list where the list
    decides it. Raises `DataError` for lists that name an image twice or, where the unit locates its pictures, one
    outside its gallery.
    """
    lists = _read(path, units)
    subsets = None if subset_path is None else _read(subset_path, units)
    return [_score(unit, lists[unit.name], path, None if subsets is None else subsets[unit.name]) for unit in units]


def _score(unit: EvalUnit, lists: Lists, path: Path, subsets: Lists | None) -> UnitResult:
    kept = [_without_reference(unit, query, lists[query.id]) for query in unit.queries]
    if not unit.metrics:
        raise MotaError(
            f"{unit.name} keeps its targets secret, so its rankings cannot be scored here",
            "send them to its server; `mota submission check` says whether it would take them",
        )
    ranks = [np.array(ranks_in(ranking, query.targets)) for ranking, query in zip(kept, unit.queries, strict=True)]
    # A list that holds all targets decides every cut-off, however short it is.
    depth = min(len(own) if np.isinf(row).any() else np.inf for own, row in zip(kept, ranks, strict=True))
    subset_ranks, subset_depth = _subset_ranks(unit, kept, subsets)
    names = [name for name in unit.metrics if _told(name, depth, subset_depth)]
    if not names:
        raise DataError(f"{path}: lists of {depth:g} are too short for any metric of {unit.name}", HINT)
    values = {name: query_values(name, ranks, subset_ranks, unit.ap_divisor) for name in names}
    return unit_result(unit, values, Ragged.of(ranks, float))


def _without_reference(unit: EvalUnit, query: Query, ranking: Sequence[str]) -> Sequence[str]:
    return [id for id in ranking if id != query.reference] if unit.exclude_reference else ranking


def _subset_ranks(
    unit: EvalUnit, kept: Sequence[Sequence[str]], subsets: Lists | None
) -> tuple[list[np.ndarray] | None, int]:
    """Ranks of the targets in the queries' subsets, and up to which cut-off they are known."""
    if not unit.queries[0].subset:
        return None, 0
    ranks, depths = [], []
    for query, ranking in zip(unit.queries, kept, strict=True):
        source = ranking if subsets is None else subsets[query.id]
        within = [id for id in source if id in query.subset]
        ranks.append(np.array(ranks_in(within, query.targets[:1])))
        # Behind the members that a list names, and behind the target, nothing is left to decide.
        depths.append(len(query.subset) if np.isfinite(ranks[-1][0]) else len(within))
    return ranks, min(depths)


def _told(name: str, depth: float, subset_depth: int) -> bool:
    """Whether lists of that depth decide a metric."""
    parts = mean_parts(name) or (name,)
    return all(cut_off(part) <= (subset_depth if part.startswith("Rsubset@") else depth) for part in parts)


def _read(path: Path, units: Sequence[EvalUnit]) -> dict[str, Lists]:
    galleries = {unit.name: frozenset(unit.gallery if unit.images else ()) for unit in units}
    return {
        name: {id: _checked(ranking, id, galleries[name], path) for id, ranking in lists.items()}
        for name, lists in answers_by_unit(path, units, HINT, _unwrapped).items()
    }


def _unwrapped(document: Any) -> Any:
    """The lists without a test server's header, or from the form in which runs keep them."""
    if not isinstance(document, dict):
        return document
    if isinstance(document.get("query_ids"), list) and isinstance(document.get("ids"), list):
        return dict(zip(map(str, document["query_ids"]), document["ids"], strict=False))
    return {key: value for key, value in document.items() if key not in _HEADER}


def _checked(ranking: Any, id: str, gallery: frozenset[str], path: Path) -> list[str]:
    if not isinstance(ranking, list) or not all(isinstance(entry, str | int) for entry in ranking):
        raise DataError(f"{path}: query {id!r}: expected a list of image ids", HINT)
    ids = [str(entry) for entry in ranking]
    if len(set(ids)) < len(ids):
        raise DataError(f"{path}: query {id!r} ranks an image twice", "a ranking names every image once")
    unknown = [entry for entry in ids if gallery and entry not in gallery]
    if unknown:
        raise DataError(f"{path}: query {id!r} ranks {unknown[0]!r}, which is not in the gallery", "other split?")
    return ids
