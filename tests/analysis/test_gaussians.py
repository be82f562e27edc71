"""Fréchet distances and spectra against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from motacli.analysis.gaussians import Gaussian, effective_rank, frechet, participation_ratio


def diagonal(mean: list[float], variances: list[float]) -> Gaussian:
    return Gaussian.from_moments(np.array(mean), np.diag(variances))


def test_one_dimension() -> None:
    # (m1 - m2)^2 + (s1 - s2)^2
    assert frechet(diagonal([1.0], [4.0]), diagonal([4.0], [25.0])) == pytest.approx(9 + 9)


def test_covariances_that_commute() -> None:
    a, b = diagonal([0, 0, 0], [1, 4, 9]), diagonal([0, 3, 4], [4, 4, 0])
    assert frechet(a, b) == pytest.approx(25 + 1 + 0 + 9)
    assert frechet(b, a) == pytest.approx(frechet(a, b))


def test_covariances_that_do_not_commute() -> None:
    """Against the roots of the eigenvalues of the product, which are those of its root."""
    rng = np.random.default_rng(0)
    first, second = (m @ m.T for m in rng.standard_normal((2, 6, 6)))
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(0)).sum()
    found = frechet(Gaussian.from_moments(np.zeros(6), first), Gaussian.from_moments(np.ones(6), second))
    assert found == pytest.approx(6 + first.trace() + second.trace() - 2 * roots)


def test_two_by_two_in_closed_form() -> None:
    """tr (AB)^(1/2) = (tr AB + 2 (det AB)^(1/2))^(1/2) in two dimensions."""
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    root = np.sqrt((a @ b).trace() + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    found = frechet(Gaussian.from_moments(np.zeros(2), a), Gaussian.from_moments(np.zeros(2), b))
    assert found == pytest.approx(a.trace() + b.trace() - 2 * root)


def test_equal_sets_are_at_zero_even_with_fewer_rows_than_dimensions() -> None:
    for rows, dim in ((400, 8), (20, 64)):
        points = np.random.default_rng(0).standard_normal((rows, dim)) * np.logspace(0, -9, dim)
        assert frechet(Gaussian.of(points), Gaussian.of(points)) < 1e-9


def test_a_shift_and_a_rotation() -> None:
    points = np.random.default_rng(0).standard_normal((300, 5)) * [3, 1, 1, 0.1, 0]
    assert frechet(Gaussian.of(points), Gaussian.of(points + 2)) == pytest.approx(20)
    turned = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    other = points[::-1] * 2 + 1
    assert frechet(Gaussian.of(points @ turned), Gaussian.of(other @ turned)) == pytest.approx(
        frechet(Gaussian.of(points), Gaussian.of(other))
    )


def test_samples_of_two_gaussians_come_near_the_distance_of_the_gaussians() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (20_000, 3)), rng.normal(1, 2, (20_000, 3))
    assert frechet(Gaussian.of(a), Gaussian.of(b)) == pytest.approx(6, rel=0.03)


def test_moments_and_spectra() -> None:
    points = np.random.default_rng(0).standard_normal((50, 4))
    found = Gaussian.of(points)
    assert found.factor @ found.factor.T == pytest.approx(np.cov(points.T))
    assert list(found.eigenvalues) == sorted(found.eigenvalues, reverse=True)
    for rank in (effective_rank, participation_ratio):
        assert rank(np.ones(7)) == pytest.approx(7)
        assert rank(np.array([3.0, 0, 0])) == pytest.approx(1)
        assert rank(np.zeros(3)) == 0
        assert rank(np.array([4.0, 1, 1])) == pytest.approx(rank(np.array([8.0, 2, 2, 0])))
    assert participation_ratio(np.array([4.0, 1, 1])) == pytest.approx(2)
