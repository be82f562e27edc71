"""The best rows of an index: a store's candidates, scored again as ``mota eval`` scores."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch.nn import functional as F

from motacli.contracts import IndexStore
from motacli.retrieval import SPARE
from motacli.search.settling import WIDER, settled
from motacli.search.vectors import Vectors
from motacli.similarity import exact_pairs, rounding_margin


def best_rows(
    store: IndexStore,
    vectors: Vectors,
    query: np.ndarray,
    k: int,
    allowed: np.ndarray | None = None,
    without: Collection[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """The best ``k`` rows ``(K,)`` for a unit vector ``(d,)``, float32, and their exact scores ``(K,)``, float64.

    Ties go to the row that comes first, as in `motacli.retrieval.top_k`. ``allowed`` ``(N,)`` says which rows count,
    ``without`` names a few that do not. A store that keeps to float32's accuracy is asked for more until what it left
    out cannot be among the best; of an approximate one's candidates there are `SPARE` more than asked for.
    """
    asked = query[None].astype(np.float32)
    gone, total = np.fromiter(without, np.int64), len(vectors)
    wanted = min(k + SPARE + len(gone), total)
    while True:
        found, rough = store.search(asked, wanted, allowed)
        there = found[0] >= 0
        rows, rough = found[0][there], rough[0][there]
        exact = exact_pairs(asked, exact_units(vectors, rows), np.zeros_like(rows), np.arange(len(rows)))
        kept = np.flatnonzero(~np.isin(rows, gone))
        order = kept[np.lexsort((rows[kept], -exact[kept]))][:k]
        complete = wanted == total or len(rows) < wanted
        if complete or settled(exact, rough, exact[order[k - 1 :]], 2 * rounding_margin(asked)):
            return rows[order], exact[order]
        wanted = min(wanted * WIDER, total)


def exact_units(vectors: Vectors, rows: np.ndarray) -> np.ndarray:
    """Unit vectors ``(n, d)`` of some rows, float32, to the last bit as ``mota eval`` makes those of a gallery."""
    stored = np.ascontiguousarray(vectors.stored[rows], dtype=np.float32)
    return F.normalize(torch.from_numpy(stored), dim=1).numpy()
