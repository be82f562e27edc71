"""The `exact` store: every row is compared with a query, a block at a time, straight from the mapped file."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from motacli.console import Progress
from motacli.search.candidates import Candidates
from motacli.search.products import products
from motacli.search.rescoring import best_of
from motacli.search.vectors import Vectors

AT_ONCE = 32
"""Queries that share a pass over the rows."""
SPARSE = 8
"""Where fewer than one row in so many is allowed, only those are read."""


@dataclass(frozen=True)
class ExactOptions:
    """``threads`` share the rows of a search; 0 are as many as torch uses."""

    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ValueError(f"threads must not be negative: {self.threads}")


class ExactStore:
    """Finds the very best rows, in the order of `motacli.retrieval.top_k`: by exact scores, ties by row.

    Rows are first scored roughly, with a known bound on the error; all that may be among the best are scored again.
    It keeps no file of its own. What it reads stays in the system's cache of files, and not in this process.
    """

    name = "exact"
    Options: ClassVar[type[ExactOptions]] = ExactOptions

    def __init__(self, vectors: Vectors, options: ExactOptions) -> None:
        self._vectors = vectors
        self._stored = as_tensor(vectors.stored)
        self._threads = options.threads or torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="exact-store")

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
        """End the threads. The file stays mapped for as long as somebody holds the vectors."""
        self._pool.shutdown()

    def _search(self, queries: np.ndarray, allowed: np.ndarray | None, rows: np.ndarray, scores: np.ndarray) -> None:
        """Fill in ``rows`` and ``scores`` ``(Q, K)``."""
        k, rough, lock = rows.shape[1], products(queries, self._vectors), threading.Lock()
        kept = Candidates(len(queries), k, 2 * rough.margin)

        threads = self._threads if rough.parallel else 1
        blocks = _Shared(_blocks(_looked_at(len(self._vectors), allowed), rough.rows, threads))

        def scan(_: int) -> None:
            for block in blocks:
                found = rough.score(self._stored[block], self._vectors.norms[block])
                if allowed is not None:
                    found[:, ~allowed[block]] = -np.inf
                with lock:
                    kept.add(block, found)

        if threads == 1:
            scan(0)
        else:
            list(self._pool.map(scan, range(threads)))
        for number, near in enumerate(kept.rows()):
            best, exact = best_of(self._vectors, queries[number], near, k)
            rows[number, : len(best)], scores[number, : len(best)] = best, exact


class _Shared(Iterator[Any]):
    """Gives each item to one of the threads that ask: one that is held up leaves the rest to the others."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items, self._lock = items, threading.Lock()

    def __next__(self) -> Any:
        with self._lock:
            return next(self._items)


def _looked_at(count: int, allowed: np.ndarray | None) -> np.ndarray | range:
    """The rows to look at; numbers where they are few, as others need not be read."""
    if allowed is not None and np.count_nonzero(allowed) * SPARSE < count:
        return np.flatnonzero(allowed)
    return range(count)


def _blocks(rows: np.ndarray | range, size: int, threads: int) -> Iterator[np.ndarray | slice]:
    """Of ``size`` rows, or fewer where not every thread would get one."""
    size = max(min(size, -(-len(rows) // threads)), 1)
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        yield slice(block.start, block.stop) if isinstance(block, range) else block


def as_tensor(stored: np.ndarray) -> Tensor:
    """A tensor of the same memory, which must not be written to."""
    with warnings.catch_warnings():  # torch warns of arrays that cannot be written to; nobody writes here
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.asarray(stored))
