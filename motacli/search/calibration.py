"""Scores that mean the same for every query: how far a picture stands out from those that are not asked for.

A cosine means nothing by itself: texts are far from all pictures, pictures are close to all others, and every backbone
and adapter has a range of its own. So a query is also compared with a fixed random sample of the index, nearly all of
which is unrelated, and a picture's score is ``(cosine - mean) / std`` of that sample: whatever is asked, the same score
lets the same share of unrelated pictures pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from motacli.search.results import Background
from motacli.search.vectors import Vectors

SAMPLE = 2048
FEWEST = 30
"""With fewer pictures than this the few that are right would be a good part of the sample."""
COPY = 0.98
"""Pictures so similar are taken for the reference itself, which would widen the spread of a small sample."""


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
        """Mean and standard deviation of the sample's cosines to a unit vector ``(d,)``.

        It is not ``calibrated`` where fewer than `FEWEST` pictures are left: no picture's score exceeds the root of
        their number then, whatever it shows.
        """
        cosines = self.units @ query.astype(np.float32)
        others = cosines[cosines < COPY]
        if not len(others):
            return Background(0.0, 0.0, 0, calibrated=False)
        mean, std = float(others.mean(dtype=np.float64)), float(others.std(dtype=np.float64))
        return Background(mean, std, len(others), calibrated=len(others) >= FEWEST)


def scores(similarities: np.ndarray, background: Background) -> np.ndarray:
    """Scores ``(K,)`` of cosines ``(K,)``, in the same order; zeros where all of the sample is equally similar."""
    if background.std <= 1e-6:
        return np.zeros(len(similarities))
    found: np.ndarray = (similarities - background.mean) / background.std
    return found
