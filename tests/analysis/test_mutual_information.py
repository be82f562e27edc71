"""Mutual information and its permutation test, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from motacli.analysis.mutual_information import association, nmi, one_hot


def test_known_tables() -> None:
    assert nmi(np.diag([5.0, 5, 5])) == pytest.approx(1)
    assert nmi(np.diag([1.0, 7])) == pytest.approx(1)
    assert nmi(np.outer([3, 5], [2, 1, 1])) == pytest.approx(0, abs=1e-12)
    assert nmi(np.array([[4.0, 2.0]])) == 0 and nmi(np.array([[4.0], [2.0]])) == 0
    # I = ln 2, H = ln 4 and ln 2
    assert nmi(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])) == pytest.approx(2 / 3)


def test_a_perfect_assignment() -> None:
    types = one_hot(np.arange(60) % 3, 3)
    found = association(types, types[:, [2, 0, 1]], permutations=200)
    assert found.nmi == pytest.approx(1) and found.p == pytest.approx(1 / 201) and found.by_chance < 0.1


def test_independence_has_uniform_p_values() -> None:
    rng = np.random.default_rng(0)
    found = [
        association(one_hot(rng.integers(0, 4, 80), 4), one_hot(rng.integers(0, 3, 80), 3), seed, 99)
        for seed in range(200)
    ]
    p = np.array([each.p for each in found])
    assert np.mean(p <= 0.05) < 0.1 and 0.43 < p.mean() < 0.57
    assert np.mean([each.nmi - each.by_chance for each in found]) == pytest.approx(0, abs=0.004)


def test_one_expert_for_all_tells_nothing() -> None:
    found = association(one_hot(np.arange(10) % 2, 2), one_hot(np.zeros(10, int), 3), permutations=50)
    assert (found.nmi, found.by_chance, found.p) == (0, 0, 1)


def test_the_same_seed_gives_the_same_number() -> None:
    rng = np.random.default_rng(0)
    types, experts = one_hot(rng.integers(0, 2, 50), 2), one_hot(rng.integers(0, 2, 50), 2)
    assert association(types, experts, 3, 100) == association(types, experts, 3, 100)
