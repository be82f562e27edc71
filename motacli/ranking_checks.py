"""What cannot be ranked, told before it is."""

from __future__ import annotations

import numpy as np

from motacli.errors import MotaError
from motacli.ragged import Ragged

NORM_TOLERANCE = 0.01


def check_features(features: np.ndarray, name: str) -> None:
    """Refuse what would rank without meaning anything: NaN compares as never better, long vectors break exactness."""
    if features.ndim != 2:
        raise MotaError(f"{name} features must have shape (rows, d), got {features.shape}")
    norms = np.sqrt(np.einsum("nd,nd->n", features, features))
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))
    if wrong.size:
        raise MotaError(
            f"{name} features have to be unit vectors: row {wrong[0]} has length {norms[wrong[0]]:.4g}",
            "normalise them; NaN points at weights that diverged or a precision that overflowed",
        )


def check_excluded(targets: Ragged, excluded: np.ndarray | None) -> None:
    """Refuse a target (gallery row, a list per query) that is the row ``(Q,)`` which leaves the query's ranking."""
    if excluded is not None and np.any(excluded[targets.owners] == targets.flat):
        raise MotaError("a query's target is excluded from its ranking", "its reference and its target are the same")
