"""Do experts go by types? Normalised mutual information, with a permutation test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PERMUTATIONS = 2000
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Association:
    """Normalised mutual information in 0..1, its mean over permutations, which is what chance gives, and the p-value.

    ``p`` is the chance that experts which know nothing of types look as if they did: ``(1 + as large) / (1 + R)``.
    """

    nmi: float
    by_chance: float
    p: float
    permutations: int


def association(types: np.ndarray, experts: np.ndarray, seed: int = 0, permutations: int = PERMUTATIONS) -> Association:
    """The association of types ``(Q, T)`` and experts ``(Q, K)``, both shares that sum to one for each query.

    Queries swap experts in the permutations, so that a query with several types keeps them together. The p-value is
    that of Phipson and Smyth (2010), never zero. Takes queries for independent.
    """
    observed = nmi(types.T @ experts)
    rng = np.random.default_rng([seed, 17])
    drawn = np.array([nmi(types.T @ experts[rng.permutation(len(experts))]) for _ in range(permutations)])
    extreme = int(np.count_nonzero(drawn >= observed - _ROUNDING))
    return Association(observed, float(drawn.mean()), (1 + extreme) / (1 + permutations), permutations)


def nmi(table: np.ndarray) -> float:
    """``2 I / (H_rows + H_columns)`` of a contingency table ``(T, K)`` of counts or shares; 0 where a side is constant.

    0 is independence and 1 that each tells the other. The mean of few rows is above 0 by chance alone.
    """
    joint = table / table.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    total = _entropy(rows) + _entropy(columns)
    shared = _entropy(rows) + _entropy(columns) - _entropy(joint.ravel())
    return float(min(max(2 * shared / total, 0.0), 1.0)) if min(_entropy(rows), _entropy(columns)) > 0 else 0.0


def one_hot(places: np.ndarray, width: int) -> np.ndarray:
    """Places ``(Q,)`` as shares ``(Q, width)``."""
    shares: np.ndarray = np.eye(width)[places]
    return shares


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
