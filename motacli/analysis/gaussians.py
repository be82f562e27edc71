"""Sets of features as Gaussians: spectra of their covariances, and the Fréchet distance between two of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Gaussian:
    """Mean ``(d,)`` and covariance, the latter as eigenvalues ``(d,)``, largest first, and a factor ``(d, d)``.

    ``covariance = factor @ factor.T``.
    """

    mean: np.ndarray = field(repr=False)
    eigenvalues: np.ndarray = field(repr=False)
    factor: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, rows: np.ndarray) -> Gaussian:
        """The Gaussian with the mean and the unbiased covariance of rows ``(N, d)``."""
        rows = rows.astype(np.float64)
        mean = rows.mean(0)
        centred = rows - mean
        return cls.from_moments(mean, centred.T @ centred / max(len(rows) - 1, 1))

    @classmethod
    def from_moments(cls, mean: np.ndarray, covariance: np.ndarray) -> Gaussian:
        """The Gaussian of a mean ``(d,)`` and a covariance ``(d, d)``; what rounding made negative in it is zero."""
        try:
            factor = np.linalg.cholesky(covariance)  # many times faster than eigenvectors
            values = np.linalg.eigvalsh(covariance)
        except np.linalg.LinAlgError:  # no full rank, as of fewer rows than dimensions
            values, vectors = np.linalg.eigh(covariance)
            factor = vectors * np.sqrt(values.clip(min=0.0))
        return cls(mean, values[::-1].clip(min=0.0), factor)


def frechet(a: Gaussian, b: Gaussian) -> float:
    """The squared Fréchet distance ``|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`` of two Gaussians.

    Dowson and Landau, Journal of Multivariate Analysis 12(3), 1982; the form of FID (Heusel et al., NeurIPS 2017).
    With ``C = F F^T`` the trace of the root is the sum of the singular values of ``F_a^T F_b``. Neither a root nor a
    product of covariances is formed, so that small eigenvalues keep their digits and equal sets get zero.
    """
    overlap = np.linalg.svd(a.factor.T @ b.factor, compute_uv=False).sum()
    shift = float(((a.mean - b.mean) ** 2).sum())
    return max(0.0, shift + float(a.eigenvalues.sum() + b.eigenvalues.sum() - 2 * overlap))


def effective_rank(eigenvalues: np.ndarray) -> float:
    """``exp`` of the entropy of the eigenvalues' shares (Roy and Vetterli, EUSIPCO 2007): in ``1..d``, 0 of nothing."""
    total = eigenvalues.sum()
    if total <= 0:
        return 0.0
    shares = eigenvalues[eigenvalues > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def participation_ratio(eigenvalues: np.ndarray) -> float:
    """``(sum l)^2 / sum l^2``: in ``1..d``, 0 of nothing. Less swayed by many small eigenvalues than the rank."""
    squares = float((eigenvalues**2).sum())
    return float(eigenvalues.sum() ** 2 / squares) if squares > 0 else 0.0
