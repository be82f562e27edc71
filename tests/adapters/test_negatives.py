"""Near misses: which captions they are, and what they add to the loss."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from motacli.adapters.negatives import mine_near_misses
from motacli.adapters.objective import weighted_info_nce


def around(*degrees: float) -> torch.Tensor:
    """Plane vectors of different lengths at these angles."""
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1) * torch.arange(1, len(degrees) + 1)[:, None]


def test_the_nearest_others_that_do_not_say_the_same() -> None:
    targets = around(0, 1, 20, 50, 180)
    found = mine_near_misses(targets, 2, 100, 0.98, 0)
    assert found.tolist() == [[2, 3], [2, 3], [1, 0], [2, 1], [3, 2]]


def test_blocks_and_brute_force_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    unit = F.normalize(targets, dim=1)
    similarity = unit @ unit.T
    similarity[similarity > 0.9] = -2
    monkeypatch.setattr("motacli.adapters.negatives.BLOCK", 7)
    assert mine_near_misses(targets, 3, 100, 0.9, 0).equal(similarity.topk(3, dim=1).indices)


def test_only_allowed_rows_and_a_pool_of_them() -> None:
    targets = torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
    allowed = torch.arange(0, 60, 2)
    assert (mine_near_misses(targets, 4, 100, 0.98, 0, allowed) % 2 == 0)[::2].all()
    pooled = [mine_near_misses(targets, 4, 10, 0.98, seed, allowed) for seed in (0, 0, 1)]
    assert len(pooled[0].unique()) <= 10 + 0 and pooled[0].equal(pooled[1]) and not pooled[0].equal(pooled[2])


def test_places_without_a_miss_hold_the_row_itself() -> None:
    assert mine_near_misses(around(0, 0, 90), 3, 100, 0.98, 0).tolist() == [[2, 0, 0], [2, 1, 1], [0, 1, 2]]
    assert mine_near_misses(around(0, 0), 1, 100, 0.98, 0).tolist() == [[0], [1]]


def test_near_misses_are_wrong_answers_of_their_own_query() -> None:
    random = torch.Generator().manual_seed(0)
    queries, targets = torch.randn(4, 8, generator=random), torch.randn(4, 8, generator=random)
    misses = torch.randn(4, 2, 8, generator=random)
    q, t, m = F.normalize(queries, dim=1), F.normalize(targets, dim=1), F.normalize(misses, dim=2)
    expected = 0.0
    for row in range(4):
        logits = 5 * torch.cat([t @ q[row], m[row] @ q[row]])
        expected += float(logits.logsumexp(0) - logits[row]) / 4
    assert float(weighted_info_nce(queries, targets, 5, near_misses=misses)) == pytest.approx(expected, rel=1e-5)


def test_what_equals_the_target_is_no_wrong_answer() -> None:
    random = torch.Generator().manual_seed(0)
    queries, targets = torch.randn(4, 8, generator=random), torch.randn(4, 8, generator=random)
    own = 3 * targets[:, None].expand(-1, 2, -1)
    plain = weighted_info_nce(queries, targets, 5)
    assert float(weighted_info_nce(queries, targets, 5, near_misses=own)) == pytest.approx(float(plain), rel=1e-6)
