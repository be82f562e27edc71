"""Rows that stay on disk: what is indexed is read, and nothing else; the rest of a tensor works as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from motacli import rows_on_disk
from motacli.rows_on_disk import RowsOnDisk, all_finite, hold_or_read, root_mean_square, rows_between, spread

WHOLE = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def read() -> list[int]:
    """How many rows were read each time."""
    return []


@pytest.fixture
def rows(read: list[int]) -> Any:
    def get(numbers: np.ndarray) -> np.ndarray:
        read.append(len(numbers))
        return WHOLE.numpy()[numbers]

    return RowsOnDisk(get, 20, 3)


@pytest.mark.parametrize(
    "index",
    [3, -1, slice(2, 9, 3), slice(None, 4), [5, 0, 5], np.array([1, -2]), torch.tensor([7, 2]), WHOLE[:, 0] > 0],
)
def test_what_is_indexed_is_read(rows: Any, read: list[int], index: Any) -> None:
    assert torch.equal(rows[index], WHOLE[index])
    assert sum(read) == WHOLE[index].numel() // 3


def test_rows_beyond_the_end_are_an_error(rows: Any) -> None:
    for index in (20, [-21], torch.tensor([0, 99])):
        with pytest.raises(IndexError, match="there are 20 rows"):
            rows[index]


def test_all_else_that_a_tensor_can_do(rows: Any) -> None:
    assert len(rows) == 20 and rows.shape == (20, 3) and rows.dtype == torch.float32 and rows.ndim == 2
    assert torch.equal(F.normalize(rows, dim=1), F.normalize(WHOLE, dim=1))
    assert torch.equal(torch.cat([rows, rows]), torch.cat([WHOLE, WHOLE])) and torch.equal(rows[:, 1], WHOLE[:, 1])
    assert torch.equal(rows.mean(0), WHOLE.mean(0)) and torch.equal(rows.to("cpu").T, WHOLE.T)


def test_numbers_of_all_rows_are_made_block_by_block(
    rows: Any, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_on_disk, "BLOCK", 8)
    assert spread(rows) == spread(WHOLE) == pytest.approx(float(WHOLE.std(0).mean()), rel=1e-6)
    assert root_mean_square(rows) == pytest.approx(float(WHOLE.pow(2).mean().sqrt()), rel=1e-6)
    assert all_finite(rows) and torch.equal(torch.cat(list(rows.split(7))), WHOLE) and max(read) == 8
    part = rows_between(rows, 4, 9)
    assert isinstance(part, RowsOnDisk) and torch.equal(part[:], WHOLE[4:9]) and torch.equal(part[-1], WHOLE[8])
    assert torch.equal(rows_between(WHOLE, 4, 9), WHOLE[4:9])


def test_few_are_held_and_many_read(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "x"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(name, value)
    for held, local, kept in ((960, "4", True), (959, "4", False), (959, "2", True)):
        monkeypatch.setattr(rows_on_disk, "HELD", held)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
        assert isinstance(hold_or_read(rows), torch.Tensor) == kept
