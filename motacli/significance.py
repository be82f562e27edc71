"""Whether two runs differ by more than the choice of queries explains: intervals and p-values of paired differences.

All that is needed is, per query, one run's value minus the other's. ``T`` below is the mean of these differences or,
for an average over several sets of queries, the plain mean of the sets' means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motacli.errors import MotaError
from motacli.intervals import LEVEL, drawn_means, resample_blocks

RESAMPLES = 10_000
_ROUNDING = 1e-10
"""How far two sums of the same terms may be apart: below any difference of means worth the name."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of paired differences with its bootstrap interval ``low..high``, and the p-value of there being none."""

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Resampled:
    """``T`` of ``M`` columns: as ``observed`` ``(M,)``, and in ``R`` resamples each, with queries ``drawn`` anew
    ``(R, M)`` and with signs ``flipped`` ``(R, M)``.
    """

    observed: np.ndarray
    drawn: np.ndarray
    flipped: np.ndarray

    def column(self, index: int) -> Resampled:
        """One column alone, ``M = 1``."""
        one = slice(index, index + 1)
        return Resampled(self.observed[one], self.drawn[:, one], self.flipped[:, one])

    @classmethod
    def average(cls, sets: Sequence[Resampled]) -> Resampled:
        """``T`` of the plain mean over sets of queries, each of which was resampled on its own."""
        return cls(
            observed=np.mean([part.observed for part in sets], axis=0),
            drawn=np.mean([part.drawn for part in sets], axis=0),
            flipped=np.mean([part.flipped for part in sets], axis=0),
        )

    def differences(self, level: float = LEVEL) -> list[Difference]:
        """The conclusion on each column.

        The interval is the percentile bootstrap's (Efron, 1979): the middle ``level`` of ``T`` over queries drawn with
        replacement, each with both its values. The p-value is that of the two-sided paired randomisation test (Fisher,
        1935; for retrieval: Smucker, Allan and Carterette, CIKM 2007): were the runs interchangeable, each difference
        could as well have the other sign. With ``R`` random choices of signs,

            ``p = (1 + choices with |T'| >= |T|) / (1 + R)``,

        which is never zero, as the signs observed are one of the choices (Phipson and Smyth, 2010).
        """
        tails = ((1 - level) / 2, (1 + level) / 2)
        low, high = np.quantile(self.drawn, tails, axis=0)
        extreme = np.count_nonzero(np.abs(self.flipped) >= np.abs(self.observed) - _ROUNDING, axis=0)
        p = (1 + extreme) / (1 + len(self.flipped))
        rows = zip(self.observed, low, high, p, strict=True)
        return [Difference(*map(float, row)) for row in rows]


def resample(differences: np.ndarray, seed: int | Sequence[int] = 0, resamples: int = RESAMPLES) -> Resampled:
    """Resample the queries of one set, ``differences`` ``(Q, M)``, the same way in all columns."""
    if not differences.size:
        raise MotaError("no values to compare")
    rng = np.random.default_rng(seed)
    flips = _flipped_means(differences, rng, resamples)
    draws = drawn_means(differences, rng, resamples)
    return Resampled(differences.mean(axis=0), draws, flips)


def paired_difference(
    baseline: Sequence[float], other: Sequence[float], seed: int = 0, *, resamples: int = RESAMPLES
) -> Difference:
    """``other - baseline`` for two lists of values of the same queries in the same order."""
    if len(baseline) != len(other):
        raise MotaError(f"{len(baseline)} and {len(other)} values cannot be paired")
    column = np.subtract(other, baseline, dtype=np.float64)[:, None]
    return resample(column, seed, resamples).differences()[0]


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, in their order (Holm, 1979).

    With ``p_(1) <= ... <= p_(m)`` the i-th becomes ``max over j <= i of min(1, (m - j + 1) p_(j))``. Rejecting what is
    below alpha then errs anywhere with probability alpha at most, however the tests depend on each other.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    climbing = np.maximum.accumulate(np.minimum(1.0, factors * np.asarray(p_values, dtype=np.float64)[order]))
    adjusted = np.empty(len(order))
    adjusted[order] = climbing
    return [float(p) for p in adjusted]


def _flipped_means(differences: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """Means ``(R, M)`` with each query's sign kept or turned; a query without any difference has nothing to turn."""
    moved = differences[np.any(differences != 0, axis=1)]

    def block(size: int) -> np.ndarray:
        signs = np.where(rng.random((size, len(moved))) < 0.5, -1.0, 1.0)
        means: np.ndarray = signs @ moved / len(differences)
        return means

    return np.concatenate([block(size) for size in resample_blocks(resamples, len(moved))])
