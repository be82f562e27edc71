"""How well a plane tells two sets apart, where that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from motacli.analysis.estimates import assign_folds
from motacli.analysis.separability import RIDGES, accuracy, discriminants, fold_accuracies


def judged(a: np.ndarray, b: np.ndarray, seed: int = 0) -> np.ndarray:
    return fold_accuracies(a, b, assign_folds(len(a), seed))


@pytest.mark.parametrize(("rows", "dim"), [(400, 5), (60, 100)])
def test_far_apart(rows: int, dim: int) -> None:
    a, b = np.random.default_rng(0).standard_normal((2, rows, dim))
    found = accuracy(judged(a + 10, b))
    assert (found.value, found.error) == (1.0, 0.0)


def test_not_apart_at_all() -> None:
    values = []
    for seed in range(20):
        a, b = np.random.default_rng(seed).standard_normal((2, 200, 10))
        found = accuracy(judged(a, b, seed))
        assert abs(found.value - 0.5) < 0.11
        values.append(found.value)
    assert np.mean(values) == pytest.approx(0.5, abs=0.02)


def test_gaussians_of_known_overlap() -> None:
    """Means two standard deviations apart: the best plane is right with probability Phi(1), whatever the covariance."""
    a, b = np.random.default_rng(0).standard_normal((2, 20_000, 3))
    mix = np.array([[1.0, 0, 0], [5, 1, 0], [0, 3, 0.1]])
    found = accuracy(judged((a + np.array([2.0, 0, 0])) @ mix, b @ mix))
    assert found.value == pytest.approx(0.5 * (1 + math.erf(1 / math.sqrt(2))), abs=0.01)
    assert 0 < found.error < 0.01


def test_rows_that_belong_together_are_left_out_together() -> None:
    """The same rows on both sides: nothing can be learnt, and nothing is learnt wrongly from a row's twin."""
    a = np.random.default_rng(0).standard_normal((100, 30))
    assert accuracy(judged(a, a)).value == 0.5


def test_planes_are_halfway() -> None:
    a, b = np.array([[1.0, 0], [3, 0]]), np.array([[-1.0, 0], [-3, 0]])
    normals, offsets = discriminants(a + 5, b + 5)
    assert offsets == pytest.approx(5 * normals.sum(1)) and (normals[:, 0] > 0).all()
    assert normals[:, 1] == pytest.approx(np.zeros(len(RIDGES)))


def test_a_difference_in_a_direction_that_hardly_varies() -> None:
    """As between modalities: a small step, but a large one where there is little variance."""
    scale = np.logspace(0, -3, 20)
    a, b = np.random.default_rng(0).standard_normal((2, 1000, 20)) * scale
    a[:, -1] += 20 * scale[-1]
    assert accuracy(judged(a, b)).value == 1
