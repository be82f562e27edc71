"""A few rows scored exactly, for their order to be that of `motacli.retrieval.top_k`."""

from __future__ import annotations

import numpy as np

from motacli.search.vectors import BLOCK, Vectors
from motacli.similarity import exact_pairs


def best_of(vectors: Vectors, query: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` of ``rows`` ``(n,)`` for a unit vector ``(d,)``, ties by row, and their scores, float32."""
    exact = exact_scores(vectors, query, rows)
    order = np.lexsort((rows, -exact))[:k]
    return rows[order], exact[order].astype(np.float32)


def exact_scores(vectors: Vectors, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Exact scores ``(n,)``, float64, of some rows; few at a time, for their copies to be small."""
    scores = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        units = vectors.units(rows[start : start + BLOCK])
        everyone = np.arange(len(units))
        scores[start : start + BLOCK] = exact_pairs(query[None], units, np.zeros_like(everyone), everyone)
    return scores
