"""Rankings from an index store: an exact one changes no digit, and what another misses counts as missed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from motacli.contracts import EvalUnit, Query, Ties
from motacli.errors import MotaError, UsageError
from motacli.evaluation import UnitResult, score_unit
from motacli.listed import depth
from motacli.search.exact import ExactOptions, ExactStore
from motacli.search.vectors import Vectors

METRICS = ("R@1", "R@5", "mAP@5", "mean_of_R@1_and_R@5", "Rsubset@2")
GALLERY, QUERIES = 150, 24


class Lossy(ExactStore):
    """Finds rows of even numbers alone."""

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        return super().search(queries, k, np.arange(len(self._vectors)) % 2 == 0)


def unit_vectors(rng: np.random.Generator, rows: int) -> np.ndarray:
    values = rng.normal(size=(rows, 16)).astype(np.float32)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), dtype=np.float32)


def made(seed: int, different: int) -> tuple[EvalUnit, np.ndarray, np.ndarray]:
    """A unit, its gallery of so many different vectors, and its queries, which leave out their references."""
    rng = np.random.default_rng(seed)
    gallery = unit_vectors(rng, different)[rng.permutation(GALLERY) % different]
    queries = []
    for number in range(QUERIES):
        reference, *own = (str(row) for row in rng.permutation(GALLERY)[:8])
        few = rng.integers(1, 4)
        queries.append(Query(f"q{number}", reference, ("c",), targets=tuple(own[:few]), subset=tuple(own)))
    ids = tuple(map(str, range(GALLERY)))
    unit = EvalUnit("u", "b", "val", tuple(queries), ids, {}, METRICS, exclude_reference=True)
    asked = gallery[[int(query.targets[0]) for query in queries]] + 0.7 * unit_vectors(rng, QUERIES)
    return unit, gallery, asked / np.linalg.norm(asked, axis=1, keepdims=True)


def stored(kind: type[ExactStore], gallery: np.ndarray, folder: Path) -> ExactStore:
    vectors = Vectors.write(folder, [gallery], *gallery.shape, "float32")
    return kind.open(folder, vectors, ExactOptions(threads=1))


def scored(result: UnitResult) -> dict[str, Any]:
    return {name: getattr(result, name) for name in ("metrics", "hits", "per_query", "tie_range", "by_tag")}


@pytest.mark.parametrize("different", [GALLERY, 40, 3])
def test_an_exact_store_changes_no_digit(different: int, tmp_path: Path) -> None:
    """With entries that tie, up to fifty of them at once, and by every rule for ties."""
    unit, gallery, queries = made(different, different)
    store = stored(ExactStore, gallery, tmp_path)
    for ties in get_args(Ties):
        ruled = replace(unit, ties=ties)
        plain, listed = score_unit(ruled, gallery, queries, 7), score_unit(ruled, gallery, queries, 7, store=store)
        assert scored(plain) == scored(listed)
        assert plain.top is not None and listed.top is not None
        assert plain.top.ids == listed.top.ids and np.array_equal(plain.top.scores, listed.top.scores)
        assert listed.store_recall == {"recall@7": 100.0} and not plain.store_recall
        near = [
            (a, b) for one, two in zip(plain.ranks, listed.ranks, strict=True) for a, b in zip(one, two, strict=True)
        ]
        assert near and all(a == b if a <= 7 else b > 7 for a, b in near)
    store.close()


def test_what_a_store_misses(tmp_path: Path) -> None:
    unit, gallery, queries = made(5, GALLERY)
    store = stored(Lossy, gallery, tmp_path)
    found = score_unit(unit, gallery, queries, store=store)
    exact = score_unit(unit, gallery, queries, 5)
    assert exact.top is not None
    for query, ranks, scores in zip(unit.queries, found.ranks, queries @ gallery.T, strict=True):
        order = [str(row) for row in np.argsort(-scores) if row % 2 == 0 and str(row) != query.reference]
        wanted = [order.index(target) + 1 if target in order else math.inf for target in query.targets]
        assert all(rank == want or (rank > 38 and want > 38) for rank, want in zip(ranks, wanted, strict=True))
    hits = sum(int(id) % 2 == 0 for ids in exact.top.ids for id in ids)
    assert found.store_recall == {"recall@5": pytest.approx(100 * hits / (5 * QUERIES))}
    assert found.per_query["Rsubset@2"] == exact.per_query["Rsubset@2"]
    assert found.metrics["R@5"] < exact.metrics["R@5"]
    odd = replace(
        unit, queries=tuple(replace(q, targets=("1",), reference="2", subset=("1", "3")) for q in unit.queries)
    )
    nothing = score_unit(odd, gallery, queries, store=store)
    assert (
        nothing.hits["R@5"] == 0
        and {rank for ranks in nothing.ranks for rank in ranks} == {math.inf}
        and nothing.ties == 0
    )
    store.close()


def test_what_is_refused(tmp_path: Path) -> None:
    unit, gallery, queries = made(1, GALLERY)
    store = stored(ExactStore, gallery, tmp_path)
    own = replace(
        unit, queries=tuple(replace(q, candidates=q.subset, subset=()) for q in unit.queries), metrics=("R@1",)
    )
    with pytest.raises(UsageError, match="gallery of its own"):
        score_unit(own, gallery, queries, store=store)
    itself = replace(unit, queries=tuple(replace(q, targets=(q.reference,)) for q in unit.queries))
    with pytest.raises(MotaError, match="excluded from its ranking"):
        score_unit(itself, gallery, queries, store=store)
    store.close()


def test_how_far_a_ranking_goes() -> None:
    assert depth(METRICS) == 5 and depth(METRICS, 50) == 50 and depth(["mean_of_R@10_and_R@50"]) == 50
    assert depth(["Rsubset@3"]) == depth([]) == 10
