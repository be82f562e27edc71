"""Similarity scores of queries and gallery entries: fast in float32, and exact where that cannot tell two apart.

Scores are cosine similarities of unit vectors, ``(Q, d) x (G, d) -> (Q, G)``. Exact ones are of features rounded to
multiples of 2**-26: products are then multiples of 2**-52, no partial sum of a dot product of unit vectors exceeds 2,
and float64 holds every step. They are the same whatever the block size, the BLAS or the machine, and equal features tie
exactly. The rounding is finer than float32 arithmetic's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

GRID = 2.0**26
WIDER = 32
"""Columns of a block for each of its rows."""
_AT_ONCE = 1 << 20
"""Numbers that a step on single pairs holds at once."""


@dataclass(frozen=True, slots=True)
class ScoreBlock:
    """Float32 scores of consecutive queries from ``row`` and gallery entries from ``column``; -inf for the excluded.

    The memory is used again for the next block.
    """

    row: int
    column: int
    scores: np.ndarray

    def collect(self, members: np.ndarray, scores: np.ndarray) -> None:
        """Copy the scores of ``members`` ``(Q, s)`` (gallery rows) that are in this block to ``scores`` ``(Q, s)``."""
        height, width = self.scores.shape
        columns = members[self.row : self.row + height] - self.column
        row, place = np.nonzero((columns >= 0) & (columns < width))
        scores[self.row + row, place] = self.scores[row, columns[row, place]]


def score_blocks(
    queries: np.ndarray, gallery: np.ndarray, excluded: np.ndarray | None, size: int
) -> Iterator[ScoreBlock]:
    """Blocks of scores; those of the same queries follow each other in the order of the gallery."""
    height, width = min(size, len(queries)), min(size * WIDER, len(gallery))
    memory = np.empty(height * width, dtype=np.float32)
    for row in range(0, len(queries), size):
        asked = queries[row : row + size].astype(np.float32, copy=False)
        for column in range(0, len(gallery), width):
            entries = gallery[column : column + width].astype(np.float32, copy=False)
            scores = memory[: len(asked) * len(entries)].reshape(len(asked), len(entries))
            np.matmul(asked, entries.T, out=scores)
            if excluded is not None:
                gone = excluded[row : row + size]
                hit = np.flatnonzero((gone >= column) & (gone < column + len(entries)))
                scores[hit, gone[hit] - column] = -np.inf
            yield ScoreBlock(row, column, scores)


def on_grid(features: np.ndarray) -> np.ndarray:
    """Features ``(N, d)`` as float64, rounded to multiples of ``1 / GRID``."""
    scaled = features.astype(np.float64)
    scaled *= GRID
    np.rint(scaled, out=scaled)
    scaled /= GRID
    return scaled


def rounding_margin(features: np.ndarray) -> float:
    """How far a float32 score of unit vectors ``(N, d)`` can be from the exact one.

    The usual bound for a dot product of d terms in any order (Higham, 2002, section 3.1), with room for the rounding of
    features to the grid and of thresholds to float32.
    """
    d = features.shape[1]
    return 1.05 * (d + 16) * 2.0**-24


def exact_pairs(queries: np.ndarray, gallery: np.ndarray, owner: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """Exact scores ``(P,)`` of pairs of a query's row and a gallery row."""
    scores = np.empty(len(owner))
    for part in _parts(len(owner), queries.shape[1]):
        scores[part] = np.einsum("pd,pd->p", on_grid(queries[owner[part]]), on_grid(gallery[entry[part]]))
    return scores


def rough_pairs(queries: np.ndarray, gallery: np.ndarray, owner: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """The same in float32."""
    scores = np.empty(len(owner), dtype=np.float32)
    for part in _parts(len(owner), queries.shape[1]):
        asked, entries = queries[owner[part]], gallery[entry[part]]
        scores[part] = np.einsum("pd,pd->p", asked.astype(np.float32, copy=False), entries)
    return scores


def _parts(count: int, width: int) -> Iterator[slice]:
    size = max(_AT_ONCE // max(width, 1), 1)
    return (slice(start, start + size) for start in range(0, count, size))
