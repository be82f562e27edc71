"""Standard errors by leaving out folds."""

from __future__ import annotations

import numpy as np
import pytest

from motacli.analysis.estimates import Estimate, assign_folds, jackknife, mean_estimate
from motacli.errors import DataError


def test_folds_are_even_and_repeatable() -> None:
    folds = assign_folds(47, 3)
    assert sorted(np.bincount(folds)) == [4, 4, 4] + [5] * 7
    assert (folds == assign_folds(47, 3)).all() and (folds != assign_folds(47, 4)).any()
    with pytest.raises(DataError, match="19 rows are too few"):
        assign_folds(19, 0)


def test_the_error_of_a_mean_is_that_of_the_fold_means() -> None:
    values = np.random.default_rng(0).standard_normal(500)
    folds = assign_folds(500, 0)
    found = jackknife(lambda rows: {"mean": float(values[rows].mean()), "constant": 1.0}, folds)
    means = np.array([values[folds == fold].mean() for fold in range(10)])
    assert found["mean"].value == pytest.approx(values.mean())
    assert found["mean"].error == pytest.approx(means.std(ddof=1) / np.sqrt(10))
    assert found["constant"] == Estimate(1.0, 0.0)


def test_errors_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        values = rng.exponential(size=200)  # of variance one
        found = jackknife(lambda rows, v=values: {"var": float(v[rows].var(ddof=1)) - 1}, assign_folds(200, trial))
        covered += not found["var"].clear
    assert 0.85 <= covered / 300 <= 0.99


def test_means() -> None:
    found = mean_estimate(np.array([0.0, 2.0]))
    assert (found.value, found.error) == (1.0, 1.0)
    assert np.isnan(mean_estimate(np.array([3.0])).error)
