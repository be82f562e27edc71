"""The numbers about sets of features, each with its standard error over pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from motacli.analysis.estimates import Estimate, jackknife
from motacli.analysis.gaussians import Gaussian, effective_rank, frechet, participation_ratio
from motacli.console import Progress

Key = tuple[str, ...]
"""The name of a number, and the sets it is about."""


@dataclass(frozen=True)
class Asked:
    """Which numbers are wanted: ``pairs`` of sets to compare as wholes, ``matches`` whose rows belong together."""

    pairs: Sequence[tuple[str, str]]
    matches: Sequence[tuple[str, str]]
    differences: Mapping[Key, tuple[Key, Key]]
    """Numbers that are what the second of two has over the first."""


def feature_numbers(
    units: Mapping[str, np.ndarray],
    norms: Mapping[str, np.ndarray],
    asked: Asked,
    folds: np.ndarray,
    progress: Progress,
) -> dict[Key, Estimate]:
    """All numbers about unit vectors ``(N, d)`` by set and their lengths ``(N,)`` before they were made such."""

    def statistic(rows: np.ndarray) -> dict[Key, float]:
        kept = {name: vectors[rows] for name, vectors in units.items()}
        gaussians = {name: Gaussian.of(vectors) for name, vectors in kept.items()}
        found: dict[Key, float] = {("norm", name): float(norms[name][rows].mean()) for name in kept}
        for name, gaussian in gaussians.items():
            found |= _of_set(name, gaussian, len(rows))
        for a, b in asked.pairs:
            found |= _of_pair(a, b, gaussians[a], gaussians[b])
        for a, b in asked.matches:
            found |= _of_match(a, b, kept[a], kept[b])
        return found | {key: found[after] - found[before] for key, (before, after) in asked.differences.items()}

    return jackknife(statistic, folds, progress)


def _of_set(name: str, gaussian: Gaussian, rows: int) -> dict[Key, float]:
    """Spectrum and cone: the mean cosine of two different rows is ``(N |m|^2 - 1) / (N - 1)``, as all are unit."""
    squared = float(gaussian.mean @ gaussian.mean)
    return {
        ("within", name): (rows * squared - 1) / (rows - 1),
        ("effective rank", name): effective_rank(gaussian.eigenvalues),
        ("participation ratio", name): participation_ratio(gaussian.eigenvalues),
    }


def _of_pair(a: str, b: str, one: Gaussian, other: Gaussian) -> dict[Key, float]:
    """The modality gap, the distance of the unit vectors' means (Liang et al., NeurIPS 2022), and the Fréchet distance.

    ``centroid cosine`` is that of the two means, which do not look at how narrow the sets are.
    """
    lengths = float(np.linalg.norm(one.mean) * np.linalg.norm(other.mean))
    return {
        ("gap", a, b): float(np.linalg.norm(one.mean - other.mean)),
        ("centroid cosine", a, b): float(one.mean @ other.mean) / max(lengths, 1e-12),
        ("frechet", a, b): frechet(one, other),
    }


def _of_match(a: str, b: str, one: np.ndarray, other: np.ndarray) -> dict[Key, float]:
    """Mean cosines of rows that belong together, of all that do not, and by how much the former are closer."""
    rows = len(one)
    together = float((one * other).sum())
    matched = together / rows
    unmatched = (float(one.sum(0) @ other.sum(0)) - together) / (rows * (rows - 1))
    return {("matched", a, b): matched, ("unmatched", a, b): unmatched, ("margin", a, b): matched - unmatched}
