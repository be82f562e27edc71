"""Ranking a gallery: where the targets stand, by counting rather than sorting, and the best K.

Scores are cosine similarities, ``(Q, d) x (G, d) -> (Q, G)``, computed a block at a time. What counts are exact scores:
features rounded to multiples of 2**-26, so that products are multiples of 2**-52, no partial sum of a dot product of
unit vectors exceeds 2, and float64 holds every step. Ranks and ties are therefore the same whatever the block size, the
BLAS or the machine, and equal features tie exactly. The rounding is finer than float32 arithmetic's own.

For speed a block is multiplied in float32 first. Only scores closer to a target's than float32 can err are computed
again exactly; all others are decided already.

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
SPARE = 32
"""Entries kept beyond the best K until exact scores tell which of them they are."""
_AT_ONCE = 1 << 22
"""Numbers that a step on single pairs holds at once."""


@dataclass(frozen=True, slots=True)
class TargetRanks:
    """Per query the 1-based ranks of its targets, ``(targets,)``, ties by gallery order.

    ``best`` and ``worst`` are the ranks if every tie with an entry that is no target were won or lost; ``first_best``
    and ``first_worst`` ``(Q,)`` those of the first target if every tie were. ``tied`` ``(Q,)``: some target ties.
    """

    ranks: tuple[np.ndarray, ...]
    best: tuple[np.ndarray, ...]
    worst: tuple[np.ndarray, ...]
    first_best: np.ndarray
    first_worst: np.ndarray
    tied: np.ndarray


@dataclass(frozen=True, slots=True)
class _Counts:
    """Other entries against each target ``(P,)``: those that score more and those that score the same.

    Of the latter also those that come before it, and both again without the query's other targets.
    """

    more: np.ndarray
    equal: np.ndarray
    before: np.ndarray
    rivals: np.ndarray
    rivals_before: np.ndarray

    @classmethod
    def zeros(cls, count: int) -> _Counts:
        """Nothing counted yet."""
        return cls(*(np.zeros(count, dtype=np.int64) for _ in range(5)))

    def add(
        self, pair: np.ndarray, more: np.ndarray, equal: np.ndarray, before: np.ndarray, target: np.ndarray
    ) -> None:
        """Count entries ``(E,)``: which pair each stands against, and what is true of it."""
        for column, counted in (
            (self.more, more),
            (self.equal, equal),
            (self.before, equal & before),
            (self.rivals, equal & ~target),
            (self.rivals_before, equal & ~target & before),
        ):
            column += np.bincount(pair[counted], minlength=len(column))

    def ranks(self, targets: Sequence[Sequence[int]]) -> TargetRanks:
        """The counts as ranks of ``targets``, in whose order they are."""
        lengths = [len(rows) for rows in targets]
        starts = np.cumsum([0, *lengths])[:-1]
        ranks = 1 + self.more + self.before
        best = ranks - self.rivals_before
        first = starts[np.array(lengths, dtype=bool)]
        tied = np.zeros(len(targets), dtype=bool)
        tied[_owners(targets)[self.equal > 0]] = True
        first_best = 1 + self.more[first]

        def by_query(column: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(np.split(column, starts[1:]))

        return TargetRanks(
            by_query(ranks),
            by_query(best),
            by_query(best + self.rivals),
            first_best=first_best,
            first_worst=first_best + self.equal[first],
            tied=tied,
        )


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
    owner = _owners(targets)
    target = np.array([row for rows in targets for row in rows], dtype=np.int64)
    if excluded is not None and np.any(excluded[owner] == target):
        raise MotaError("a query's target is excluded from its ranking", "its reference and its target are the same")
    wanted, margin = _pair_scores(queries, gallery, owner, target), _margin(queries)
    high, low = ((wanted + sign * margin).astype(np.float32)[:, None] for sign in (1, -1))
    counts, codes = _Counts.zeros(len(target)), owner * len(gallery) + target
    for block in _score_blocks(queries, gallery, excluded, block_size):
        first, last = np.searchsorted(owner, (block.row, block.row + len(block.scores)))
        rows = block.scores
        if last - first != len(rows):  # several targets of a query meet the same row of scores
            rows = rows[owner[first:last] - block.row]
        surely = rows > high[first:last]
        counts.more[first:last] += np.count_nonzero(surely, axis=1)
        pair, near = np.nonzero((rows >= low[first:last]) ^ surely)
        pair, near = pair + first, near + block.column
        scores = block.exact(queries, gallery, owner[pair], near)
        other = near != target[pair]
        pair, near, scores = pair[other], near[other], scores[other]
        among = np.isin(owner[pair] * len(gallery) + near, codes)
        counts.add(pair, scores > wanted[pair], scores == wanted[pair], near < target[pair], among)
    return counts.ranks(targets)


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
    ids, best = np.zeros((len(queries), k), dtype=np.int64), np.zeros((len(queries), k), dtype=np.float32)
    if k == 0:
        return ids, best
    kept, rough = _rough_top(queries, gallery, min(k + SPARE, len(gallery)), excluded, block_size)
    owner = np.repeat(np.arange(len(queries)), kept.shape[1])
    exact = _pair_scores(queries, gallery, owner, kept.ravel()).reshape(kept.shape)
    exact[rough == -np.inf] = -np.inf
    order = np.lexsort((kept, -exact), axis=1)[:, :k]
    ids[:], best[:] = np.take_along_axis(kept, order, 1), np.take_along_axis(exact, order, 1)
    if kept.shape[1] < len(gallery):
        # What was let go scored no more than the worst that was kept, as far as float32 can tell.
        kth = np.take_along_axis(exact, order[:, -1:], 1)[:, 0]
        for query in np.flatnonzero(kth <= rough.min(axis=1) + _margin(queries)):
            ids[query], best[query] = _exact_top(
                queries[query], gallery, k, -1 if excluded is None else excluded[query]
            )
    return ids, best


def private_ranks(
    queries: np.ndarray, gallery: np.ndarray, candidates: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> TargetRanks:
    """Ranks of ``targets`` where each query ranks only its own ``candidates`` (gallery rows, in the order of ties).

    A row that a list holds twice is two entries that tie; the target is its first.
    """
    scores = _private_scores(queries, gallery, candidates)
    for query, (own, asked) in enumerate(zip(candidates, targets, strict=True)):
        if not set(asked) <= set(own):
            raise MotaError(f"the target of query {query} is not among its candidates")
    owner = _owners(targets)
    place = np.array([list(candidates[q]).index(row) for q, rows in enumerate(targets) for row in rows], dtype=np.int64)
    rows = scores[owner]
    wanted = np.take_along_axis(rows, place[:, None], 1)
    among = np.zeros(scores.shape, dtype=bool)
    among[owner, place] = True
    counts = _Counts.zeros(len(place))
    rows[np.arange(len(place)), place] = -np.inf  # a target does not stand against itself
    pair, near = np.nonzero(rows >= wanted)
    equal = rows[pair, near] == wanted[pair, 0]
    counts.add(pair, ~equal, equal, near < place[pair], among[owner[pair], near])
    return counts.ranks(targets)


def private_top(
    queries: np.ndarray, gallery: np.ndarray, candidates: Sequence[Sequence[int]], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` of each query's own candidates, as `top_k`; ``k`` is cut to the shortest list."""
    k = min([k, *(len(own) for own in candidates)])
    scores = _private_scores(queries, gallery, candidates)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    ids = [np.asarray(own, dtype=np.int64)[best] for own, best in zip(candidates, order, strict=True)]
    best = np.take_along_axis(scores, order, 1).astype(np.float32)
    return np.array(ids, dtype=np.int64).reshape(best.shape), best


# ---------------------------------------------------------------------------------------------- scores


@dataclass(frozen=True, slots=True)
class _Block:
    """Float32 scores of consecutive queries from ``row`` and gallery entries from ``column``; -inf for the excluded."""

    row: int
    column: int
    scores: np.ndarray

    def exact(self, queries: np.ndarray, gallery: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Exact scores of pairs inside the block."""
        height, width = self.scores.shape
        if len(rows) * 16 < self.scores.size:
            return _pair_scores(queries, gallery, rows, columns)
        # Features that hardly differ: the whole block at once is cheaper than most of it pair by pair.
        asked, entries = queries[self.row : self.row + height], gallery[self.column : self.column + width]
        everything: np.ndarray = (_exact(asked) @ _exact(entries).T)[rows - self.row, columns - self.column]
        return everything


def _exact(features: np.ndarray) -> np.ndarray:
    scaled = features.astype(np.float64)
    scaled *= GRID
    np.rint(scaled, out=scaled)
    scaled /= GRID
    return scaled


def _margin(features: np.ndarray) -> float:
    """How far a float32 score of unit vectors ``(N, d)`` can be from the exact one.

    The usual bound for a dot product of d terms in any order (Higham, 2002, section 3.1), with room for the rounding of
    features to the grid and of the thresholds to float32.
    """
    d = features.shape[1]
    return 1.05 * (d + 16) * 2.0**-24


def _score_blocks(queries: np.ndarray, gallery: np.ndarray, excluded: np.ndarray | None, size: int) -> Iterator[_Block]:
    """Blocks of scores; those of the same queries follow each other in the order of the gallery."""
    for row in range(0, len(queries), size):
        block = queries[row : row + size].astype(np.float32, copy=False)
        for column in range(0, len(gallery), size):
            scores = block @ gallery[column : column + size].astype(np.float32, copy=False).T
            if excluded is not None:
                gone = excluded[row : row + size] - column
                hit = np.flatnonzero((gone >= 0) & (gone < scores.shape[1]) & (excluded[row : row + size] >= 0))
                scores[hit, gone[hit]] = -np.inf
            yield _Block(row, column, scores)


def _pair_scores(queries: np.ndarray, gallery: np.ndarray, owner: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """Exact scores ``(P,)`` of pairs of a query's row and a gallery row."""
    scores = np.empty(len(owner))
    size = max(_AT_ONCE // queries.shape[1], 1)
    for start in range(0, len(owner), size):
        part = slice(start, start + size)
        scores[part] = np.einsum("pd,pd->p", _exact(queries[owner[part]]), _exact(gallery[entry[part]]))
    return scores


def _private_scores(queries: np.ndarray, gallery: np.ndarray, candidates: Sequence[Sequence[int]]) -> np.ndarray:
    """Exact scores ``(Q, C)`` of each query's own candidates; -inf behind the end of the shorter lists."""
    lengths = np.array([len(own) for own in candidates])
    scores = np.full((len(candidates), lengths.max(initial=0)), -np.inf)
    entry = np.array([row for own in candidates for row in own], dtype=np.int64)
    filled = np.arange(scores.shape[1]) < lengths[:, None]
    scores[filled] = _pair_scores(queries, gallery, _owners(candidates), entry)
    return scores


def _rough_top(
    queries: np.ndarray, gallery: np.ndarray, k: int, excluded: np.ndarray | None, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` by float32 scores, in no order: gallery rows and scores ``(Q, k)``."""
    ids = np.zeros((len(queries), k), dtype=np.int64)
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    filled = 0
    for block in _score_blocks(queries, gallery, excluded, size):
        if block.column == 0:
            filled = 0
        here = slice(block.row, block.row + len(block.scores))
        columns = np.broadcast_to(np.arange(block.scores.shape[1]) + block.column, block.scores.shape)
        joined = np.hstack([best[here, :filled], block.scores])
        where = np.hstack([ids[here, :filled], columns])
        filled = min(k, joined.shape[1])
        if filled < joined.shape[1]:
            kept = np.argpartition(joined, joined.shape[1] - filled, axis=1)[:, -filled:]
            joined, where = np.take_along_axis(joined, kept, 1), np.take_along_axis(where, kept, 1)
        best[here, :filled], ids[here, :filled] = joined, where
    return ids, best


def _exact_top(query: np.ndarray, gallery: np.ndarray, k: int, excluded: int) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` of one query ``(d,)`` by exact scores alone."""
    everyone = np.arange(len(gallery))
    scores = _pair_scores(query[None], gallery, np.zeros_like(everyone), everyone)
    if excluded >= 0:
        scores[excluded] = -np.inf
    order = np.argsort(-scores, kind="stable")[:k]
    return order, scores[order]


def _owners(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """For the flattened lists, which list each entry is from."""
    return np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
