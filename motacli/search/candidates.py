"""Which rows may still be among a query's best, while rough scores come in block by block."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


class Candidates:
    """Rows of ``queries`` queries that may be among the best ``k``; rough scores err by half of ``slack`` at most.

    A row is let go as soon as ``k`` others score more than ``slack`` above it. What is kept is thinned out whenever it
    has doubled, so that a pass over a million rows keeps little more than ``k`` each.
    """

    def __init__(self, queries: int, k: int, slack: float) -> None:
        self._k, self._slack = k, np.float32(slack * (1 + 2.0**-20))
        self._floor = np.full((queries, 1), -np.inf, dtype=np.float32)
        self._kept = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        self._new: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._count, self._room = 0, 2 * queries * k

    def add(self, rows: np.ndarray | slice, scores: np.ndarray) -> None:
        """Rows ``(n,)``, or the slice of all rows that holds them, and their scores ``(Q, n)``; never -inf and NaN."""
        if not self._count and scores.shape[1] > self._k:
            self._raise_floor(scores)
        found = np.flatnonzero(scores > self._floor)
        if not found.size:
            return
        query, column = np.divmod(found, scores.shape[1])
        numbers = rows.start + column if isinstance(rows, slice) else rows[column]
        self._new.append((query, numbers, scores[query, column]))
        self._count += len(found)
        if self._count > self._room:
            self._thin_out()

    def rows(self) -> list[np.ndarray]:
        """The rows of each query, in no order."""
        self._thin_out()
        query, rows, _ = self._kept
        return np.split(rows, np.searchsorted(query, np.arange(1, len(self._floor))))

    def _raise_floor(self, scores: np.ndarray) -> None:
        """Spare the rows of a first block, which would all be kept, the way through `_thin_out`."""
        place = scores.shape[1] - self._k
        floor = np.partition(scores, place, axis=1)[:, [place]] - self._slack
        np.fmax(self._floor, floor, out=self._floor, where=floor < np.inf)

    def _thin_out(self) -> None:
        query, rows, scores = map(np.concatenate, zip(self._kept, *self._new, strict=True))
        order = np.argsort(query, kind="stable")
        query, rows, scores = query[order], rows[order], scores[order]
        ends = np.searchsorted(query, np.arange(len(self._floor) + 1))
        for number, (start, end) in enumerate(pairwise(ends)):
            if end - start >= self._k:
                kth = np.partition(scores[start:end], end - start - self._k)[end - start - self._k]
                self._floor[number] = kth - self._slack
        kept = scores > self._floor[query, 0]
        self._kept, self._new = (query[kept], rows[kept], scores[kept]), []
        self._count = int(np.count_nonzero(kept))
        self._room = 2 * max(self._count, len(self._floor) * self._k)
