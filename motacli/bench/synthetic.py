"""Benchmark units as large as the real ones, with made-up ids and features, so that nothing needs the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from motacli.contracts import EvalUnit, Query

SMALLEST_GALLERY = 64
SMALLEST_QUERIES = 8
BLOCK_ROWS = 4096
TARGET_COSINE = 0.2
"""Cosines of query and target are drawn from 0 to this. Random rows of 768 dimensions reach 0.15, so recalls spread."""
REFERENCE_COSINE = 0.3
ASIN_LETTERS = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


@dataclass(frozen=True, slots=True)
class UnitShape:
    """What matters to speed and memory about a unit.

    ``ids`` makes distinct gallery ids of the data set's length. A query has one target, or ``1 + Poisson`` with
    ``mean_targets`` in all, and ``subset`` entries in its group, the target among them.
    """

    name: str
    queries: int
    gallery: int
    metrics: tuple[str, ...]
    ids: Callable[[int, np.random.Generator], list[str]]
    mean_targets: float = 1.0
    subset: int = 0
    exclude_reference: bool = False
    dim: int = 768

    def scaled(self, fraction: float) -> UnitShape:
        """The same with fewer queries and a smaller gallery, though never too small for its metrics."""
        queries, gallery = round(self.queries * fraction), round(self.gallery * fraction)
        return replace(self, queries=max(queries, SMALLEST_QUERIES), gallery=max(gallery, SMALLEST_GALLERY))


@dataclass(frozen=True, slots=True)
class UnitFeatures:
    """A unit with its gallery ``(G, d)`` and queries ``(Q, d)``, unit rows in float32."""

    unit: EvalUnit
    gallery: np.ndarray
    queries: np.ndarray


def make_unit(shape: UnitShape, rng: np.random.Generator) -> UnitFeatures:
    """A unit of this shape. Queries point a little towards their targets and their reference."""
    ids = shape.ids(shape.gallery, rng)
    gallery, features = unit_rows(shape.gallery, shape.dim, rng), unit_rows(shape.queries, shape.dim, rng)
    queries = []
    for row in range(shape.queries):
        targets = 1 + int(rng.poisson(shape.mean_targets - 1))
        reference, *rest = rng.choice(shape.gallery, 1 + targets + max(shape.subset - 1, 0), replace=False).tolist()
        subset = rng.permutation(rest[: shape.subset]).tolist()
        queries.append(_query(row, ids, reference, rest[:targets], subset))
        _mix(features[row], gallery, [reference, *rest[:targets]], rng)
    unit = EvalUnit(
        name=shape.name,
        benchmark="synthetic",
        split="val",
        queries=tuple(queries),
        gallery=tuple(ids),
        images={},
        metrics=shape.metrics,
        exclude_reference=shape.exclude_reference,
    )
    return UnitFeatures(unit, gallery, features)


def unit_rows(rows: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Random directions ``(rows, dim)`` in float32, made in place so that no copy leaves a peak of its own."""
    features = np.empty((rows, dim), dtype=np.float32)
    for start in range(0, rows, BLOCK_ROWS):
        block = features[start : start + BLOCK_ROWS]
        rng.standard_normal(dtype=np.float32, out=block)
        block /= np.sqrt(np.einsum("nd,nd->n", block, block))[:, None]
    return features


def cirr_ids(count: int, rng: np.random.Generator) -> list[str]:
    """``dev-123-0-img1`` and the like."""
    return [f"dev-{index}-{index % 4}-img{index % 2}" for index in range(count)]


def fashioniq_ids(count: int, rng: np.random.Generator) -> list[str]:
    """Product numbers of ten characters, ``B00`` first."""
    found: dict[str, None] = {}
    while len(found) < count:
        letters = ASIN_LETTERS[rng.integers(0, len(ASIN_LETTERS), (count, 7))]
        found.update(dict.fromkeys("B00" + "".join(row) for row in letters))
    return list(found)[:count]


def circo_ids(count: int, rng: np.random.Generator) -> list[str]:
    """COCO's image numbers, ascending, as strings."""
    return [str(number) for number in np.sort(rng.choice(582_000, count, replace=False)).tolist()]


def _query(row: int, ids: list[str], reference: int, targets: list[int], subset: list[int]) -> Query:
    return Query(
        id=str(row),
        reference=ids[reference],
        captions=("",),
        targets=tuple(ids[target] for target in targets),
        subset=tuple(ids[member] for member in subset),
    )


def _mix(query: np.ndarray, gallery: np.ndarray, rows: list[int], rng: np.random.Generator) -> None:
    """Turn a random unit vector ``(d,)`` towards ``rows`` of the gallery, the reference first, in place."""
    cosines = rng.uniform(0, TARGET_COSINE, len(rows)).astype(np.float32)
    cosines[0] = REFERENCE_COSINE
    query *= np.sqrt(max(1 - float(cosines @ cosines), 0.0))
    query += cosines @ gallery[rows]
    query /= np.sqrt(query @ query)
