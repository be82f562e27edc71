"""Histograms of cosines: within a set, and of rows that belong together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from motacli.analysis.distributions import Histogram

PAIRS = 50_000
BINS = 60
_STEP = 0.05


def cosines_within(units: Mapping[str, np.ndarray], seed: int, pairs: int = PAIRS) -> dict[str, np.ndarray]:
    """Cosines ``(P,)`` of pairs of different rows drawn at random, the same pairs in every set."""
    rows = len(next(iter(units.values())))
    rng = np.random.default_rng([seed, 13])
    first = rng.integers(0, rows, pairs)
    second = (first + rng.integers(1, rows, pairs)) % rows
    return {name: (vectors[first] * vectors[second]).sum(1) for name, vectors in units.items()}


def cosines_of(units: Mapping[str, np.ndarray], matches: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """Cosines ``(N,)`` of rows that belong together."""
    return {f"{a} – {b}": (units[a] * units[b]).sum(1) for a, b in matches}


def shared_histograms(values: Mapping[str, np.ndarray], bins: int = BINS) -> dict[str, Histogram]:
    """Histograms with the same bins, over the range of all values widened to steps of a twentieth."""
    low = math.floor(min(float(v.min()) for v in values.values()) / _STEP) * _STEP
    high = math.ceil(max(float(v.max()) for v in values.values()) / _STEP) * _STEP
    high = max(high, low + _STEP)
    width = (high - low) / bins
    edges = np.linspace(low, high, bins + 1)
    # Clipped, since a cosine of one may be a last digit above it, and so above the last edge.
    counts = {name: np.histogram(v.clip(low, high), edges)[0] for name, v in values.items()}
    return {name: Histogram(round(low, 9), width, tuple(map(int, row))) for name, row in counts.items()}
