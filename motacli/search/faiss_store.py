"""The `faiss` store: a graph (HNSW) or inverted lists of short codes (IVF-PQ), by Faiss (Douze et al., 2024)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from motacli.console import Progress
from motacli.errors import DataError
from motacli.extras import needed
from motacli.search.exact import ExactOptions, ExactStore
from motacli.search.rescoring import best_of
from motacli.search.vectors import Vectors

FILE = "faiss.index"
LEAST_ROWS = 1000
"""An index of fewer rows is not worth a graph, and too few to train codes on: they are all compared."""
SPARSE = 16
"""Where fewer than one row in so many is allowed, just those are compared, as a graph would lead past most of them."""
ADDED_AT_ONCE = 16384
PER_LIST = 64
"""Rows that a list and a centroid are trained on."""


@dataclass(frozen=True)
class FaissOptions:
    """What is built, and how thoroughly it is searched. Zeros stand for what suits the number of rows and their width.

    ``kind``: ``hnsw``, a graph over all rows in half precision, fast and nearly exact; or ``ivfpq``, codes of a few
    bytes in lists, for when memory is short. ``links`` per row of the graph, ``build_effort`` and ``effort``: rows that
    are kept in view when it is built and when it is searched. ``lists`` there are, ``probes`` of them are searched;
    ``code_bytes`` per row. ``oversampling``: rows by codes for each row asked for, which are then scored exactly.
    """

    kind: Literal["hnsw", "ivfpq"] = "hnsw"
    links: int = 32
    build_effort: int = 128
    effort: int = 128
    lists: int = 0
    probes: int = 0
    code_bytes: int = 0
    oversampling: int = 16

    def __post_init__(self) -> None:
        for name in ("links", "build_effort", "effort", "oversampling"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("lists", "probes", "code_bytes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative: {getattr(self, name)}")


class FaissStore:
    """Looks up a few rows of many and scores these exactly; it may miss some.

    Without a filter it never reads the others' features. Rows that a filter leaves few of are compared one by one.
    """

    name = "faiss"
    Options: ClassVar[type[FaissOptions]] = FaissOptions

    def __init__(self, vectors: Vectors, options: FaissOptions, index: Any) -> None:
        self._vectors, self._options, self._index = vectors, options, index
        self._exact = ExactStore(vectors, ExactOptions())

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: FaissOptions, progress: Progress) -> None:
        """Write ``faiss.index``, unless there are so few rows that none is needed."""
        faiss = _faiss()
        if len(vectors) < LEAST_ROWS:
            return
        if options.kind == "hnsw":
            index = faiss.IndexHNSWSQ(
                vectors.width, faiss.ScalarQuantizer.QT_fp16, options.links, faiss.METRIC_INNER_PRODUCT
            )
            index.hnsw.efConstruction = options.build_effort
        else:
            index = _inverted_lists(faiss, vectors, options)
        blocks = vectors.blocks(ADDED_AT_ONCE)
        for _, units in progress.track(blocks, f"{options.kind}: rows", -(-len(vectors) // ADDED_AT_ONCE)):
            index.add(units)
        faiss.write_index(index, str(folder / FILE))

    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: FaissOptions) -> Self:
        """The index in a folder; `DataError` where it is missing, broken, or of other vectors."""
        faiss = _faiss()
        if len(vectors) < LEAST_ROWS:
            return cls(vectors, options, None)
        path = folder / FILE
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            reason = "it is not there" if not path.exists() else "Faiss cannot read it"
            raise DataError(f"{path}: {reason}", "build the index again") from error
        if (index.ntotal, index.d) != (len(vectors), vectors.width):
            there = f"{index.ntotal} rows of {index.d} numbers, not {len(vectors)} of {vectors.width}"
            raise DataError(f"{path} holds {there}", "build the index again")
        return cls(vectors, options, index)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `motacli.contracts.IndexStore`; scores are exact ones (`motacli.similarity`) rounded to float32."""
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / max(len(allowed), 1)
        if self._index is None or share * SPARSE < 1:
            return self._exact.search(queries, k, allowed)
        k = min(k, len(self._vectors))
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for number, found in enumerate(self._found(queries, k, allowed, share)):
            best, exact = best_of(self._vectors, queries[number], found[found >= 0], k)
            rows[number, : len(best)], scores[number, : len(best)] = best, exact
        return rows, scores

    def close(self) -> None:
        """Let go of the index."""
        self._index = None
        self._exact.close()

    def _found(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, share: float) -> Iterator[np.ndarray]:
        """Rows of each query, -1 where there are fewer; the effort grows as a filter leaves less."""
        faiss, options = _faiss(), self._options
        chosen = None if allowed is None else faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        if options.kind == "hnsw":
            wanted, effort = k, math.ceil(max(options.effort, k) / share)
            how = faiss.SearchParametersHNSW(sel=chosen, efSearch=effort)
        else:
            wanted, probes = k * options.oversampling, options.probes or max(self._index.nlist // 16, 8)
            how = faiss.SearchParametersIVF(sel=chosen, nprobe=min(probes, self._index.nlist))
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        yield from self._index.search(asked, min(wanted, len(self._vectors)), params=how)[1]


def _inverted_lists(faiss: Any, vectors: Vectors, options: FaissOptions) -> Any:
    """Trained lists and codes, still without rows."""
    lists = options.lists or max(min(round(4 * math.sqrt(len(vectors))), len(vectors) // PER_LIST), 1)
    code_bytes = options.code_bytes or _divisor(vectors.width, vectors.width // 8)
    if vectors.width % code_bytes or lists > len(vectors):
        raise DataError(
            f"{lists} lists and codes of {code_bytes} bytes do not suit {len(vectors)} rows of {vectors.width} numbers",
            "code_bytes must divide the width, and there cannot be more lists than rows",
        )
    quantizer = faiss.IndexFlatIP(vectors.width)
    bits = 8 if len(vectors) >= 256 * PER_LIST else 4
    index = faiss.IndexIVFPQ(quantizer, vectors.width, lists, code_bytes, bits, faiss.METRIC_INNER_PRODUCT)
    wanted = PER_LIST * max(lists, 2**bits)
    chosen = np.random.default_rng(0).permutation(len(vectors))[:wanted]
    index.train(vectors.units(np.sort(chosen)))
    return index


def _divisor(width: int, most: int) -> int:
    return next(size for size in range(max(most, 1), 0, -1) if width % size == 0)


def _faiss() -> Any:
    return needed("faiss", "faiss", "store 'faiss'")
