"""Ranking a gallery: where the targets stand, by counting rather than sorting, and the best K.

Scores are cosine similarities, ``(Q, d) x (G, d) -> (Q, G)``, computed a block at a time. Features are first rounded
to multiples of 2**-26; products are then multiples of 2**-52 and no partial sum of a dot product of unit vectors
exceeds 2, so float64 holds every step exactly. Scores, ranks and ties are therefore the same whatever the block size,
the BLAS or the machine, and equal features tie exactly. The rounding is finer than float32 arithmetic's own.

Ties go to the entry that comes first, in the gallery or in the query's own list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from motacli.errors import MotaError

GRID = 2.0**26
BLOCK_SIZE = 1024
NORM_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class TargetRanks:
    """Per query: the 1-based rank of each target, and whether another entry has exactly a target's score."""

    ranks: tuple[np.ndarray, ...]
    tied: np.ndarray


def check_features(features: np.ndarray, name: str) -> None:
    """Refuse what would rank without meaning anything: NaN compares as never better, long vectors break exactness."""
    if features.ndim != 2:
        raise MotaError(f"{name} features must have shape (rows, d), got {features.shape}")
    norms = np.sqrt(np.einsum("nd,nd->n", features, features, dtype=np.float64))
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))
    if wrong.size:
        raise MotaError(
            f"{name} features have to be unit vectors: row {wrong[0]} has length {norms[wrong[0]]:.4g}",
            "normalise them; NaN points at weights that diverged or a precision that overflowed",
        )


def target_ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    targets: Sequence[Sequence[int]],
    *,
    excluded: np.ndarray | None = None,
    block_size: int = BLOCK_SIZE,
) -> TargetRanks:
    """Ranks of ``targets`` (gallery rows, one list per query) among all of the gallery.

    ``rank = 1 + entries that score more + entries before it that score the same``. ``excluded`` ``(Q,)`` names the
    gallery row that leaves a query's ranking, -1 for none.
    """
    owner = np.repeat(np.arange(len(targets)), [len(rows) for rows in targets])
    target = np.array([row for rows in targets for row in rows], dtype=np.int64)
    if excluded is not None and np.any(excluded[owner] == target):
        raise MotaError("a query's target is excluded from its ranking", "its reference and its target are the same")
    score = _pair_scores(queries, gallery, owner, target, block_size)
    rank = np.ones(len(target), dtype=np.int64)
    equal = np.zeros(len(target), dtype=np.int64)
    for row, column, scores in _score_blocks(queries, gallery, excluded, block_size):
        pairs = slice(*np.searchsorted(owner, (row, row + len(scores))))
        rows, wanted = scores[owner[pairs] - row], score[pairs, None]
        same = rows == wanted
        earlier = np.arange(column, column + scores.shape[1]) < target[pairs, None]
        rank[pairs] += np.count_nonzero(rows > wanted, axis=1) + np.count_nonzero(same & earlier, axis=1)
        equal[pairs] += np.count_nonzero(same, axis=1)
    tied = np.zeros(len(targets), dtype=bool)
    tied[owner[equal > 1]] = True  # every target equals itself once
    starts = np.cumsum([len(rows) for rows in targets])[:-1]
    return TargetRanks(tuple(np.split(rank, starts)), tied)


def top_k(
    queries: np.ndarray,
    gallery: np.ndarray,
    k: int,
    *,
    excluded: np.ndarray | None = None,
    block_size: int = BLOCK_SIZE,
) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` gallery rows of each query, ``(Q, K)``, and their scores; fewer where the gallery is smaller."""
    removed = excluded is not None and bool(np.any(excluded >= 0))
    k = min(k, len(gallery) - removed)
    ids, best = np.zeros((len(queries), k), dtype=np.int64), np.full((len(queries), k), -np.inf)
    for row, column, scores in _score_blocks(queries, gallery, excluded, block_size):
        here = slice(row, row + len(scores))
        columns = np.broadcast_to(np.arange(column, column + scores.shape[1]), scores.shape)
        # What was kept so far comes from earlier columns, so position in the joined row still follows the gallery.
        joined, where = np.hstack([best[here], scores]), np.hstack([ids[here], columns])
        kept = _best_columns(joined, k)
        best[here], ids[here] = np.take_along_axis(joined, kept, 1), np.take_along_axis(where, kept, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(ids, order, 1), np.take_along_axis(best, order, 1).astype(np.float32)


def private_ranks(
    queries: np.ndarray, gallery: np.ndarray, candidates: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> TargetRanks:
    """Ranks of ``targets`` where each query ranks only its own ``candidates`` (gallery rows, in the order of ties).

    A row that a list holds twice is two entries that tie; the target is its first.
    """
    ranks, tied = [], np.zeros(len(targets), dtype=bool)
    for query, (scores, own, wanted) in enumerate(
        zip(_private_scores(queries, gallery, candidates), candidates, targets, strict=True)
    ):
        if not set(wanted) <= set(own):
            raise MotaError(f"the target of query {query} is not among its candidates")
        places = [list(own).index(row) for row in wanted]
        better = [np.count_nonzero(scores > scores[place]) for place in places]
        before = [np.count_nonzero(scores[:place] == scores[place]) for place in places]
        ranks.append(1 + np.array(better, dtype=np.int64) + np.array(before, dtype=np.int64))
        tied[query] = any(np.count_nonzero(scores == scores[place]) > 1 for place in places)
    return TargetRanks(tuple(ranks), tied)


def private_top(
    queries: np.ndarray, gallery: np.ndarray, candidates: Sequence[Sequence[int]], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` of each query's own candidates, as `top_k`; ``k`` is cut to the shortest list."""
    k = min([k, *(len(own) for own in candidates)])
    ids, best = np.zeros((len(queries), k), dtype=np.int64), np.zeros((len(queries), k), dtype=np.float32)
    for query, scores in enumerate(_private_scores(queries, gallery, candidates)):
        order = np.argsort(-scores, kind="stable")[:k]
        ids[query], best[query] = np.asarray(candidates[query])[order], scores[order]
    return ids, best


def _exact(features: np.ndarray) -> np.ndarray:
    return np.rint(features.astype(np.float64) * GRID) / GRID


def _score_blocks(
    queries: np.ndarray, gallery: np.ndarray, excluded: np.ndarray | None, size: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """First query row, first gallery row and scores of each pair of blocks; gallery blocks come in order."""
    for row in range(0, len(queries), size):
        block = _exact(queries[row : row + size])
        for column in range(0, len(gallery), size):
            scores = block @ _exact(gallery[column : column + size]).T
            if excluded is not None:
                gone = excluded[row : row + size] - column
                hit = np.flatnonzero((gone >= 0) & (gone < scores.shape[1]) & (excluded[row : row + size] >= 0))
                scores[hit, gone[hit]] = -np.inf
            yield row, column, scores


def _pair_scores(
    queries: np.ndarray, gallery: np.ndarray, owner: np.ndarray, target: np.ndarray, size: int
) -> np.ndarray:
    """Scores of (query, gallery row) pairs ``(P,)``; exactness makes them the very numbers the blocks hold."""
    scores = np.empty(len(owner))
    for start in range(0, len(owner), size):
        part = slice(start, start + size)
        scores[part] = np.einsum("pd,pd->p", _exact(queries[owner[part]]), _exact(gallery[target[part]]))
    return scores


def _private_scores(
    queries: np.ndarray, gallery: np.ndarray, candidates: Sequence[Sequence[int]]
) -> Iterator[np.ndarray]:
    for query, own in zip(queries, candidates, strict=True):
        yield _exact(gallery[np.asarray(own, dtype=np.int64)]) @ _exact(query)


def _best_columns(scores: np.ndarray, k: int) -> np.ndarray:
    """The columns of each row's ``k`` best, ascending; of those that tie at the edge, the first ones."""
    if k == 0:
        return np.zeros((len(scores), 0), dtype=np.int64)
    edge = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k, None]
    above, level = scores > edge, scores == edge
    room = k - np.count_nonzero(above, axis=1)[:, None]
    chosen = above | (level & (np.cumsum(level, axis=1) <= room))
    return np.nonzero(chosen)[1].reshape(len(scores), k)
