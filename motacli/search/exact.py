"""The `exact` store: every row is compared with a query, a block at a time, straight from the mapped file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from motacli.console import Progress
from motacli.search.candidates import Candidates
from motacli.search.products import Products, products
from motacli.search.vectors import Vectors
from motacli.similarity import exact_pairs

AT_ONCE = 32
"""Queries that share a pass over the rows."""
SPARSE = 8
"""Where fewer than one row in so many is allowed, only those are read."""


@dataclass(frozen=True)
class ExactOptions:
    """``block_rows`` is how many rows are multiplied at a time."""

    block_rows: int = 4096

    def __post_init__(self) -> None:
        if self.block_rows < 1:
            raise ValueError(f"block_rows must be at least 1, not {self.block_rows}")


class ExactStore:
    """Finds the very best rows, in the order of `motacli.retrieval.top_k`: by exact scores, ties by row.

    Rows are first scored roughly, with a known bound on the error; all that may be among the best are scored again.
    It keeps no file of its own. What it reads stays in the system's cache of files, and not in this process.
    """

    name = "exact"
    Options: ClassVar[type[ExactOptions]] = ExactOptions

    def __init__(self, vectors: Vectors, options: ExactOptions) -> None:
        self._vectors = vectors
        self._block_rows = options.block_rows
        self._stored = _as_tensor(vectors.stored)

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: ExactOptions, progress: Progress) -> None:
        """Nothing: the vectors are enough."""

    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: ExactOptions) -> Self:
        """The store of these vectors, whatever the folder."""
        return cls(vectors, options)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `motacli.contracts.IndexStore`; scores are exact ones (`motacli.similarity`) rounded to float32."""
        k = min(k, len(self._vectors))
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if k:
            for start in range(0, len(queries), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                self._search(queries[part], allowed, rows[part], scores[part])
        return rows, scores

    def close(self) -> None:
        """The file stays mapped for as long as somebody holds the vectors."""
        self._stored = self._stored[:0]

    def _search(self, queries: np.ndarray, allowed: np.ndarray | None, rows: np.ndarray, scores: np.ndarray) -> None:
        """Fill in ``rows`` and ``scores`` ``(Q, K)``."""
        k, rough = rows.shape[1], products(queries, self._vectors)
        kept = Candidates(len(queries), k, 2 * rough.margin)
        for block, found in self._scored(rough, allowed):
            kept.add(block, found)
        for number, near in enumerate(kept.rows()):
            exact = self._exact(queries[number], near)
            order = np.lexsort((near, -exact))[:k]
            rows[number, : len(order)], scores[number, : len(order)] = near[order], exact[order]

    def _scored(self, rough: Products, allowed: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Row numbers ``(n,)`` and rough scores ``(Q, n)``, -inf for what is not allowed."""
        norms, size = self._vectors.norms, self._block_rows
        if allowed is not None and np.count_nonzero(allowed) * SPARSE < len(allowed):
            few = np.flatnonzero(allowed)
            for start in range(0, len(few), size):
                rows = few[start : start + size]
                yield rows, rough.score(self._stored[torch.from_numpy(rows)], norms[rows])
            return
        for start in range(0, len(norms), size):
            block = slice(start, start + size)
            found = rough.score(self._stored[block], norms[block])
            if allowed is not None:
                found[:, ~allowed[block]] = -np.inf
            yield np.arange(start, start + found.shape[1]), found

    def _exact(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Exact scores ``(n,)``, few enough rows at a time for their copies to be small."""
        scores = np.empty(len(rows))
        for start in range(0, len(rows), self._block_rows):
            part = slice(start, start + self._block_rows)
            units = self._vectors.units(rows[part])
            everyone = np.arange(len(units))
            scores[part] = exact_pairs(query[None], units, np.zeros_like(everyone), everyone)
        return scores


def _as_tensor(stored: np.ndarray) -> Tensor:
    with warnings.catch_warnings():  # torch warns of arrays that cannot be written to; nobody writes here
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.asarray(stored))
