"""Ranking a gallery: where the targets stand, by counting rather than sorting, and the best K.

What counts are exact scores (`motacli.similarity`), so ranks and ties are the same whatever the block size, the BLAS or
the machine. For speed a block is multiplied in float32 first: only entries whose scores are so close to a target's that
float32 could err about their order are scored again exactly; all others are decided already.

Ties go to the entry that comes first, in the gallery or in the query's own list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motacli.errors import MotaError
from motacli.ragged import Ragged
from motacli.ranking_checks import check_excluded
from motacli.similarity import WIDER, exact_pairs, rough_pairs, rounding_margin, score_blocks

BLOCK_SIZE = 256
SPARE = 32
"""Entries kept beyond the best K until exact scores tell which of them they are."""

Lists = Sequence[Sequence[int]] | Ragged


@dataclass(frozen=True, slots=True)
class TargetRanks:
    """Per query the 1-based ranks of its targets, ties by gallery order.

    ``best`` and ``worst`` are the ranks if every tie with an entry that is no target were won or lost; ``first_best``
    and ``first_worst`` ``(Q,)`` those of the first target if every tie were. ``tied`` ``(Q,)``: some target ties.
    """

    ranks: Ragged
    best: Ragged
    worst: Ragged
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

    def add(self, pair: np.ndarray, lead: np.ndarray, before: np.ndarray, target: np.ndarray) -> None:
        """Count entries ``(E,)``: which pair each stands against, by how much it scores more, and what it is."""
        if not len(pair):
            return
        equal = lead == 0
        for column, counted in (
            (self.more, lead > 0),
            (self.equal, equal),
            (self.before, equal & before),
            (self.rivals, equal & ~target),
            (self.rivals_before, equal & ~target & before),
        ):
            column += np.bincount(pair[counted], minlength=len(column))

    def ranks(self, targets: Ragged) -> TargetRanks:
        """The counts as ranks of ``targets``, in whose order they are."""
        ranks = 1 + self.more + self.before
        best = ranks - self.rivals_before
        first = targets.starts[:-1][targets.lengths > 0]
        tied = np.zeros(len(targets), dtype=bool)
        tied[targets.owners[self.equal > 0]] = True
        return TargetRanks(
            targets.like(ranks),
            targets.like(best),
            targets.like(best + self.rivals),
            first_best=1 + self.more[first],
            first_worst=1 + self.more[first] + self.equal[first],
            tied=tied,
        )


def target_ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    targets: Lists,
    *,
    excluded: np.ndarray | None = None,
    block_size: int = BLOCK_SIZE,
) -> TargetRanks:
    """Ranks of ``targets`` (gallery rows, one list per query) among all of the gallery.

    ``rank = 1 + entries that score more + entries before it that score the same``. ``excluded`` ``(Q,)`` names the
    gallery row that leaves a query's ranking, -1 for none.
    """
    return _ranks(queries, gallery, Ragged.of(targets), None, excluded, block_size)[0]


def target_and_subset_ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    targets: Lists,
    subsets: Lists,
    *,
    excluded: np.ndarray | None = None,
    block_size: int = BLOCK_SIZE,
) -> tuple[TargetRanks, TargetRanks]:
    """As `target_ranks`, and the same among each query's subset of the gallery, from the same scores."""
    lists = Ragged.of(targets), Ragged.of(subsets)
    everyone, rough = _ranks(queries, gallery, *lists, excluded, block_size)
    return everyone, _private_ranks(queries, gallery, lists[1], lists[0], rough)


def private_ranks(queries: np.ndarray, gallery: np.ndarray, candidates: Lists, targets: Lists) -> TargetRanks:
    """Ranks of ``targets`` where each query ranks only its own ``candidates`` (gallery rows, in the order of ties).

    A row that a list holds twice is two entries that tie; the target is its first.
    """
    lists = Ragged.of(candidates)
    rough = rough_pairs(queries, gallery, lists.owners, lists.flat)
    return _private_ranks(queries, gallery, lists, Ragged.of(targets), lists.like(rough).padded(-np.inf))


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
    exact = exact_pairs(queries, gallery, owner, kept.ravel()).reshape(kept.shape)
    exact[rough == -np.inf] = -np.inf
    order = np.lexsort((kept, -exact), axis=1)[:, :k]
    ids[:], best[:] = np.take_along_axis(kept, order, 1), np.take_along_axis(exact, order, 1)
    if kept.shape[1] < len(gallery):
        # What was let go scored no more than the worst that was kept, as far as float32 can tell.
        kth = np.take_along_axis(exact, order[:, -1:], 1)[:, 0]
        for query in np.flatnonzero(kth <= rough.min(axis=1) + rounding_margin(queries)):
            gone = -1 if excluded is None else excluded[query]
            ids[query], best[query] = _exact_top(queries[query], gallery, k, gone)
    return ids, best


def private_top(queries: np.ndarray, gallery: np.ndarray, candidates: Lists, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` of each query's own candidates, as `top_k`; ``k`` is cut to the shortest list."""
    lists = Ragged.of(candidates)
    k = min(k, int(lists.lengths.min(initial=k)))
    scores = lists.like(exact_pairs(queries, gallery, lists.owners, lists.flat)).padded(-np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(lists.padded(-1), order, 1), np.take_along_axis(scores, order, 1).astype(np.float32)


# ---------------------------------------------------------------------------------------------- ranks


def _ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    targets: Ragged,
    subsets: Ragged | None,
    excluded: np.ndarray | None,
    block_size: int,
) -> tuple[TargetRanks, np.ndarray]:
    """Ranks in the whole gallery, and float32 scores ``(Q, longest)`` of the subsets on the way."""
    owner, target = targets.owners, targets.flat
    check_excluded(targets, excluded)
    narrow, margin = len(gallery) <= block_size * WIDER, np.float32(2 * rounding_margin(queries))
    rough = None if narrow else rough_pairs(queries, gallery, owner, target)
    counts, wanted, single = _Counts.zeros(len(target)), _TargetScores(queries, gallery, targets), targets.single
    codes = np.sort(owner * len(gallery) + target)
    members = None if subsets is None else subsets.padded(-1)
    within = np.full((0, 0) if members is None else members.shape, -np.inf, dtype=np.float32)
    for block in score_blocks(queries, gallery, excluded, block_size):
        if members is not None:
            block.collect(members, within)
        pairs = slice(*targets.starts[[block.row, block.row + len(block.scores)]])
        rows = block.scores if single else block.scores[owner[pairs] - block.row]
        own = np.flatnonzero((target[pairs] >= block.column) & (target[pairs] < block.column + rows.shape[1]))
        place = own, target[pairs][own] - block.column
        near_score = (rows[place] if rough is None else rough[pairs])[:, None]  # a narrow block holds every target
        rows[place] = -np.inf  # a target does not stand against itself
        surely, maybe = rows > near_score + margin, rows >= near_score - margin
        more = _count(surely)
        counts.more[pairs] += more
        unsure = np.flatnonzero(_count(maybe) > more)
        at, near = np.nonzero(maybe[unsure] & ~surely[unsure])
        pair, near = unsure[at] + pairs.start, near + block.column
        lead = exact_pairs(queries, gallery, owner[pair], near) - wanted.of(pair)
        counts.add(pair, lead, near < target[pair], _among(owner[pair] * len(gallery) + near, codes))
    return counts.ranks(targets), within


def _private_ranks(
    queries: np.ndarray, gallery: np.ndarray, candidates: Ragged, targets: Ragged, rough: np.ndarray
) -> TargetRanks:
    """Ranks within each query's own list, from float32 scores ``(Q, longest)`` of its entries."""
    owner, target = targets.owners, targets.flat
    entries = candidates.padded(-1)
    own = entries[owner]
    found = own == target[:, None]
    lost = np.flatnonzero(~found.any(axis=1))
    if lost.size:
        raise MotaError(f"the target of query {owner[lost[0]]} is not among its candidates")
    place, pairs = found.argmax(axis=1), np.arange(len(target))
    among = np.zeros(entries.shape, dtype=bool)
    among[owner, place] = True
    rows, margin = rough[owner], 2 * rounding_margin(queries)
    ahead = rows - rows[pairs, place][:, None]
    ahead[pairs, place] = -np.inf
    counts = _Counts.zeros(len(target))
    counts.more[:] = np.count_nonzero(ahead > margin, axis=1)
    pair, near = np.nonzero(np.abs(ahead) <= margin)
    wanted = _TargetScores(queries, gallery, targets)
    lead = exact_pairs(queries, gallery, owner[pair], own[pair, near]) - wanted.of(pair)
    counts.add(pair, lead, near < place[pair], among[owner[pair], near])
    return counts.ranks(targets)


class _TargetScores:
    """Exact scores of targets, each computed when it is first asked for."""

    def __init__(self, queries: np.ndarray, gallery: np.ndarray, targets: Ragged) -> None:
        self._features = queries, gallery
        self._owner, self._row = targets.owners, targets.flat
        self._scores = np.full(len(targets.flat), np.nan)

    def of(self, pair: np.ndarray) -> np.ndarray:
        """Scores ``(E,)`` of the targets of pairs ``(E,)``."""
        new = np.unique(pair[np.isnan(self._scores[pair])])
        self._scores[new] = exact_pairs(*self._features, self._owner[new], self._row[new])
        return self._scores[pair]


def _among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which of the values are in ``known``, which is sorted and not empty."""
    at = np.searchsorted(known, values)
    found: np.ndarray = known[np.minimum(at, len(known) - 1)] == values
    return found


def _count(flags: np.ndarray) -> np.ndarray:
    """How many of each row ``(N, M)`` are set."""
    return np.bitwise_count(np.packbits(flags, axis=1)).sum(axis=1, dtype=np.int64)


def _rough_top(
    queries: np.ndarray, gallery: np.ndarray, k: int, excluded: np.ndarray | None, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` by float32 scores, in no order: gallery rows and scores ``(Q, k)``."""
    ids = np.zeros((len(queries), k), dtype=np.int64)
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    filled = 0
    for block in score_blocks(queries, gallery, excluded, size):
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
    scores = exact_pairs(query[None], gallery, np.zeros_like(everyone), everyone)
    if excluded >= 0:
        scores[excluded] = -np.inf
    order = np.argsort(-scores, kind="stable")[:k]
    return order, scores[order]
