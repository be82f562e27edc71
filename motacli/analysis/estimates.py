"""Numbers with their standard errors, by leaving out one fold of the rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from motacli.console import NullProgress, Progress
from motacli.errors import DataError

FOLDS = 10
T = 2.262
"""Student's t with nine degrees of freedom, two-sided 95 %: what `FOLDS` folds give."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its standard error."""

    value: float
    error: float

    @property
    def clear(self) -> bool:
        """Whether zero lies outside of the 95 % interval, ``value +- T * error``."""
        return abs(self.value) > T * self.error


def assign_folds(rows: int, seed: int, folds: int = FOLDS) -> np.ndarray:
    """The fold of each row ``(N,)``, at random and as even as can be; `DataError` for fewer than two rows a fold."""
    if rows < 2 * folds:
        raise DataError(f"{rows} rows are too few for {folds} folds", f"it takes {2 * folds} at least")
    return np.random.default_rng([seed, 11]).permutation(rows) % folds


def jackknife(
    statistic: Callable[[np.ndarray], Mapping[K, float]], folds: np.ndarray, progress: Progress | None = None
) -> dict[K, Estimate]:
    """Statistics of all rows, with standard errors from those without each of ``k`` folds,

    ``se^2 = (k - 1) / k * sum_i (t_i - mean(t))^2``

    (grouped jackknife; Kott, Journal of Official Statistics 17(4), 2001). ``statistic`` gets the numbers of the rows to
    use. Rows should be independent: one picture, one row.
    """
    whole = statistic(np.arange(len(folds)))
    tracked = (progress or NullProgress()).track(range(int(folds.max()) + 1), "leaving out one fold at a time")
    without = [statistic(np.flatnonzero(folds != fold)) for fold in tracked]
    return {key: Estimate(float(value), _spread([part[key] for part in without])) for key, value in whole.items()}


def _spread(without: Sequence[float]) -> float:
    return math.sqrt((len(without) - 1) * float(np.var(without)))


def mean_estimate(values: np.ndarray) -> Estimate:
    """The mean of independent values ``(N,)`` and its standard error; none of fewer than two."""
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return Estimate(float(values.mean()), error)
