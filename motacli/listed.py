"""Rankings that hold the best entries alone, as an index store gives them, and what metrics need to know of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motacli.contracts import IndexStore
from motacli.metrics import cut_off, mean_parts
from motacli.ragged import Ragged
from motacli.retrieval import SPARE, TargetRanks, private_ranks
from motacli.search.settling import WIDER, settled
from motacli.similarity import exact_pairs, rounding_margin

AT_ONCE = 256
"""Queries that a store is asked at once."""
LEAST = 10
"""How far a ranking goes where nothing else says it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Gallery rows that a store found for each query, best first by their exact ``scores``, ties by row.

    Everything that scores like the last of the first K that were asked for is among them, unless the store missed it.
    """

    rows: Ragged
    scores: Ragged

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best ``k``, ``(Q, K)``, and their scores, float32; ``k`` is cut to the shortest list."""
        k = min(k, int(self.rows.lengths.min(initial=k)))
        return self.rows.padded(-1)[:, :k], self.scores.padded(-np.inf)[:, :k].astype(np.float32)

    def ranks(self, queries: np.ndarray, gallery: np.ndarray, targets: Ragged) -> TargetRanks:
        """The ranks of targets within the lists, as floats: infinite for one that the store did not find."""
        codes = self.rows.owners * len(gallery) + self.rows.flat
        found = np.isin(targets.owners * len(gallery) + targets.flat, codes)
        counts = np.bincount(targets.owners[found], minlength=len(targets))
        own = Ragged(targets.flat[found], np.cumsum([0, *counts]))
        if not found.any():
            missed, first = _spread(np.empty(0), targets, found), np.full(np.count_nonzero(targets.lengths), np.inf)
            return TargetRanks(missed, missed, missed, first, first, np.zeros(len(targets), dtype=bool))
        ranks = private_ranks(queries, gallery, self.rows.sorted(), own)
        return TargetRanks(
            _spread(ranks.ranks.flat, targets, found),
            _spread(ranks.best.flat, targets, found),
            _spread(ranks.worst.flat, targets, found),
            _spread_first(ranks.first_best, targets, own, found),
            _spread_first(ranks.first_worst, targets, own, found),
            ranks.tied,
        )

    def recall(self, rows: np.ndarray) -> float:
        """The share, in percent, of the exact ranking's best ``(Q, K)`` that stand among the first K here."""
        mine = self.rows.padded(-1)[:, : rows.shape[1]]
        hits = sum(np.isin(best, own).sum() for best, own in zip(rows, mine, strict=True))
        return 100.0 * float(hits) / rows.size if rows.size else 100.0


def list_best(
    store: IndexStore, queries: np.ndarray, gallery: np.ndarray, k: int, excluded: np.ndarray | None = None
) -> Listed:
    """Ask a store of the unit vectors ``gallery`` ``(G, d)`` for the best ``k`` of each of ``(Q, d)``, and what ties.

    ``excluded`` ``(Q,)`` names the gallery row that leaves a query's ranking, -1 for none. A store that keeps to
    float32's accuracy is asked for more until what it left out cannot be among the best; of an approximate one's
    candidates there are `SPARE` more than asked for.
    """
    gone = np.full(len(queries), -1) if excluded is None else excluded
    rows: list[np.ndarray] = [np.empty(0, np.int64)] * len(queries)
    scores: list[np.ndarray] = [np.empty(0)] * len(queries)
    margin, left, wanted = 2 * rounding_margin(queries), np.arange(len(queries)), min(k + SPARE + 1, len(gallery))
    while len(left):
        unsettled = []
        for start in range(0, len(left), AT_ONCE):
            asked = left[start : start + AT_ONCE]
            found = store.search(np.ascontiguousarray(queries[asked], dtype=np.float32), wanted)
            for query, own, rough in zip(asked.tolist(), *found, strict=True):
                there = own >= 0
                own, rough = own[there], rough[there]
                exact = exact_pairs(queries, gallery, np.full(len(own), query), own)
                kept = np.flatnonzero(own != gone[query])
                order = kept[np.lexsort((own[kept], -exact[kept]))]
                rows[query], scores[query] = own[order], exact[order]
                if len(own) == wanted < len(gallery) and not settled(exact, rough, scores[query][k - 1 :], margin):
                    unsettled.append(query)
        left, wanted = np.array(unsettled, dtype=np.int64), min(wanted * WIDER, len(gallery))
    return Listed(Ragged.of(rows), Ragged.of(scores, float))


def depth(metrics: Sequence[str], keep_top: int = 0) -> int:
    """How many entries of a ranking it takes for metrics, and for what is kept of it; subsets are ranked apart."""
    named = [part for name in metrics for part in (mean_parts(name) or (name,))]
    return max([*(cut_off(name) for name in named if not name.startswith("Rsubset@")), keep_top]) or LEAST


def _spread(ranks: np.ndarray, targets: Ragged, found: np.ndarray) -> Ragged:
    """Ranks of the targets that were found as those of all."""
    flat = np.full(len(found), np.inf)
    flat[found] = ranks
    return targets.like(flat)


def _spread_first(first: np.ndarray, targets: Ragged, own: Ragged, found: np.ndarray) -> np.ndarray:
    """The same of each query's annotated target, which is its first: of the others' ranks none is taken for it."""
    ranks = np.full(len(targets), np.inf)
    ranks[own.lengths > 0] = first
    asked = targets.lengths > 0
    return np.where(found[targets.starts[:-1][asked]], ranks[asked], np.inf)
