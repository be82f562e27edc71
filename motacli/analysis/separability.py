"""Can a plane tell two sets of features apart? Linear discriminant analysis, judged on rows it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motacli.analysis.estimates import Estimate, mean_estimate

RIDGES = (1e-1, 1e-3, 1e-5, 1e-8)
"""What is added to the covariance's eigenvalues, as shares of their mean: few rows need much of it, and the small
eigenvalues that may part modalities bear only little. [ours]"""
CHANCE = 0.5


def fold_accuracies(a: np.ndarray, b: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The share of rows of each fold ``(k,)`` on their own side of a plane that has not seen them.

    Of the other folds, one chooses among the `RIDGES` and the rest gives the plane. ``a`` and ``b`` ``(N, d)`` belong
    together row by row, as a picture and its caption do, and so are left out together. Chance is `CHANCE`, as both are
    as large.
    """
    count = int(folds.max()) + 1
    found = []
    for fold in range(count):
        judged, choosing = folds == fold, folds == (fold + 1) % count
        fitted = ~(judged | choosing)
        normals, offsets = discriminants(a[fitted], b[fitted])
        best = _right(a[choosing], b[choosing], normals, offsets).argmax()  # the largest of ridges that are as good
        found.append(_right(a[judged], b[judged], normals[[best]], offsets[[best]])[0])
    return np.array(found)


def discriminants(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's planes between rows ``(N, d)`` and ``(M, d)``, one for each of ``R`` ridges.

    Normals ``(R, d)``, ``(C + ridge I)^-1 (m_a - m_b)`` with ``C`` the covariance within the sets, and offsets
    ``(R,)``, halfway between the means: ``a`` is where ``x @ normal > offset``.
    """
    mean_a, mean_b = a.mean(0), b.mean(0)
    within = np.concatenate([a - mean_a, b - mean_b])
    covariance = within.T @ within / len(within)
    dim = len(covariance)
    size = covariance.trace() / dim or 1.0
    normals = np.stack([np.linalg.solve(covariance + ridge * size * np.eye(dim), mean_a - mean_b) for ridge in RIDGES])
    return normals, normals @ (mean_a + mean_b) / 2


def _right(a: np.ndarray, b: np.ndarray, normals: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The share of rows on their own side of each plane ``(R,)``."""
    sides = np.concatenate([a @ normals.T > offsets, b @ normals.T <= offsets])
    found: np.ndarray = sides.mean(0)
    return found


def accuracy(folds: Sequence[float] | np.ndarray) -> Estimate:
    """The mean over folds and its standard error.

    Folds share most of their training rows, so that the error is rather too small (Bengio and Grandvalet, JMLR 2004).
    """
    return mean_estimate(np.asarray(folds, dtype=np.float64))
