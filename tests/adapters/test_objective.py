"""The objective: entropy weights behave as documented and the loss is what a few lines of numpy compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from motacli.adapters.objective import candidate_entropy, entropy_weights, weighted_info_nce

SCALE = 12.0


def unit(rows: int, seed: int, dim: int = 6) -> torch.Tensor:
    return F.normalize(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_beta_zero_weighs_all_alike() -> None:
    assert torch.equal(entropy_weights(torch.rand(9), 0.0), torch.ones(9))


@pytest.mark.parametrize("beta", [-3.0, -0.5, 0.5, 2.0, 8.0])
def test_weights_have_mean_one_and_follow_the_entropy(beta: float) -> None:
    entropy = torch.linspace(0, 1, 7)
    weights = entropy_weights(entropy, beta)
    assert torch.isclose(weights.mean(), torch.tensor(1.0))
    assert (torch.diff(weights) * np.sign(beta) > 0).all()
    # Exponential: equal steps of entropy multiply the weight by the same factor.
    assert torch.allclose(weights[1:] / weights[:-1], torch.exp(torch.tensor(beta / 6)), rtol=1e-4)


def test_entropy_lies_between_certainty_and_ignorance() -> None:
    targets = torch.eye(5)
    queries = torch.stack([targets[2], torch.ones(5) / 5**0.5])
    sure, unsure = candidate_entropy(queries, targets, 200.0).tolist()
    assert sure == pytest.approx(0.0, abs=1e-5) and unsure == pytest.approx(1.0, abs=1e-5)


def test_entropy_against_numpy() -> None:
    queries, targets = unit(4, 0), unit(7, 1)
    logits = SCALE * queries.numpy().astype(np.float64) @ targets.numpy().astype(np.float64).T
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -(p * np.log(p)).sum(1) / np.log(7)
    assert np.allclose(candidate_entropy(queries, targets, SCALE).numpy(), expected, atol=1e-5)


def numpy_loss(
    queries: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    negatives: np.ndarray | None,
    symmetric: bool,
) -> float:
    def normalised(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    queries, targets = normalised(queries), normalised(targets)
    candidates = targets if negatives is None else np.concatenate([targets, normalised(negatives)])
    total = 0.0
    for i, weight in enumerate(weights):
        forward = np.exp(SCALE * candidates @ queries[i])
        loss = -np.log(forward[i] / forward.sum())
        if symmetric:
            backward = np.exp(SCALE * queries @ targets[i])
            loss = (loss - np.log(backward[i] / backward.sum())) / 2
        total += weight * loss
    return total / len(weights)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("with_negatives", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_info_nce_against_numpy(weighted: bool, with_negatives: bool, symmetric: bool) -> None:
    queries, targets, negatives = 3 * unit(5, 2), 0.5 * unit(5, 3), 2 * unit(4, 4)
    weights = entropy_weights(torch.rand(5, generator=torch.Generator().manual_seed(5)), 2.0) if weighted else None
    extra = negatives if with_negatives else None
    loss = weighted_info_nce(queries, targets, SCALE, weights, extra, symmetric)
    expected = numpy_loss(
        queries.double().numpy(),
        targets.double().numpy(),
        np.ones(5) if weights is None else weights.double().numpy(),
        None if extra is None else extra.double().numpy(),
        symmetric,
    )
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_sample_of_weight_zero_teaches_nothing() -> None:
    queries = unit(4, 6).requires_grad_()
    weighted_info_nce(queries, unit(4, 7), SCALE, torch.tensor([2.0, 0.0, 1.0, 1.0])).backward()
    assert queries.grad is not None
    assert queries.grad[1].abs().max() == 0 and (queries.grad[[0, 2, 3]].abs().amax(1) > 0).all()
