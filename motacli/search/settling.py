"""Whether a store has been asked for enough; torch is not needed for that."""

from __future__ import annotations

import numpy as np

WIDER = 4
"""How many times as many rows are asked for where it has not."""


def settled(exact: np.ndarray, rough: np.ndarray, last: np.ndarray, margin: float) -> bool:
    """Whether nothing the store left out can be as good as the k-th, as far as its scores can be relied on.

    ``exact`` and ``rough`` ``(n,)`` are the exact scores of what it gave and its own, ``last`` the exact ones from the
    k-th best on, ``margin`` how far apart the two may be.
    """
    if np.any(np.abs(exact - rough) > margin):
        return True  # an approximate store: asking for more is no proof either
    return bool(len(last) and last[0] > rough.min() + margin)
