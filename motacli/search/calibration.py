"""Scores that mean the same for every query: how far a picture stands out from those that are not asked for.

A cosine means nothing by itself: texts are far from all pictures, pictures are close to all others, and every backbone
and adapter has a range of its own. So a query is also compared with a fixed random sample of the index, nearly all of
which is unrelated, and a picture's score is ``(cosine - mean) / std`` of that sample.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from motacli.search.results import Background
from motacli.search.vectors import Vectors

SAMPLE = 2048
FEWEST = 30
"""With fewer pictures than this the few that are right would be a good part of the sample."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Unit vectors ``(S, d)`` of pictures of an index, float32: all of a small one, the same ones at each opening."""

    units: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, vectors: Vectors, size: int = SAMPLE) -> Sample:
        """Draw the sample; rows of zeros, which nothing is similar to, are left out."""
        rows = np.flatnonzero(vectors.norms > 0)
        if len(rows) > size:
            rows = np.sort(np.random.default_rng(len(vectors)).choice(rows, size, replace=False))
        return cls(vectors.units(rows))

    def background(self, query: np.ndarray) -> Background:
        """Mean and standard deviation of the sample's cosines to a unit vector ``(d,)``."""
        cosines = self.units @ query.astype(np.float32)
        count = len(cosines)
        mean, std = (float(cosines.mean()), float(cosines.std())) if count else (0.0, 0.0)
        return Background(mean, std, count, calibrated=count >= FEWEST)


def scores(similarities: np.ndarray, background: Background) -> np.ndarray:
    """Scores ``(K,)`` of cosines ``(K,)``, in the same order; zeros where all of the sample is equally similar.

    In an index of fewer than `FEWEST` pictures a picture is compared with all *others*, as a t statistic is: with n
    pictures no z score exceeds the root of n, whatever it shows. Below 3 pictures scores are 0.
    """
    if background.std <= 1e-7:
        return np.zeros(len(similarities))
    z: np.ndarray = (similarities - background.mean) / background.std
    return z if background.calibrated else _against_others(z, background.rows)


def _against_others(z: np.ndarray, n: int) -> np.ndarray:
    """What z scores among ``n`` are against the other ``n - 1``: t-distributed for one that is like them."""
    if n < 3:
        return np.zeros_like(z)
    rest = np.maximum((n - 1) - z**2, 1e-6)  # what is left of the squares without the picture itself
    away: np.ndarray = z * np.sqrt((n - 2) / rest)
    return away
