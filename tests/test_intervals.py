"""Intervals by drawing queries anew."""

from __future__ import annotations

import numpy as np
import pytest

from motacli.errors import MotaError
from motacli.intervals import drawn_means, percentile_interval


def interval(values: list[float], seed: int = 1) -> tuple[float, float]:
    return percentile_interval(drawn_means(np.array(values)[:, None], np.random.default_rng(seed), 2000)[:, 0])


def test_an_interval_is_repeatable_and_brackets_the_mean() -> None:
    low, high = interval([1.0] * 30 + [0.0] * 70)
    assert (low, high) == interval([1.0] * 30 + [0.0] * 70)
    # The normal approximation: 0.3 and 1.96 times the root of 0.3 * 0.7 / 100.
    assert low == pytest.approx(0.21, abs=0.02) and high == pytest.approx(0.39, abs=0.02)
    assert interval([0.5] * 4) == (0.5, 0.5)


def test_columns_share_their_draws_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((7, 1))
    both = drawn_means(np.hstack([values, 2 * values]), np.random.default_rng(3), 50)
    assert np.allclose(both[:, 1], 2 * both[:, 0])
    monkeypatch.setattr("motacli.intervals._AT_ONCE", 21)
    assert np.allclose(drawn_means(values, np.random.default_rng(3), 50)[:, 0], both[:, 0])


def test_nothing_has_no_interval() -> None:
    with pytest.raises(MotaError, match="no values"):
        drawn_means(np.zeros((0, 2)), np.random.default_rng(0), 10)
