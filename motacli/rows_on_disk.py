"""Rows of features that stay on disk, in a tensor's place: a training reads those of a batch when it needs them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from motacli.processes.launch import processes_here

HELD = 1 << 30
"""Bytes of one kind of features that the processes of a machine hold in memory together; more stay on disk."""
BLOCK = 8192
"""Rows that are read at once where all have to be looked at."""


class RowsOnDisk:
    """Features ``(N, d)``, float32, of which only those that are indexed are read, onto ``device``.

    ``read`` gives the rows ``(R, d)`` of numbers ``(R,)``. Whatever else a tensor can do works as well, but reads all.
    """

    dtype, ndim, requires_grad = torch.float32, 2, False

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        count: int,
        width: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self._read, self.shape, self.device = read, torch.Size((count, width)), torch.device(device)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Tensor:
        if isinstance(index, tuple):
            return self.whole()[index]
        if isinstance(index, (int, np.integer)):
            return self._rows(np.array([index]))[0]
        if isinstance(index, slice):
            return self._rows(np.arange(*index.indices(len(self))))
        numbers = index.cpu().numpy() if isinstance(index, Tensor) else np.asarray(index)
        return self._rows(np.flatnonzero(numbers) if numbers.dtype == bool else numbers.astype(np.int64))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.whole(), name)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        def plain(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return type(value)(map(plain, value))
            return value.whole() if isinstance(value, cls) else value

        return function(*map(plain, args), **{name: plain(value) for name, value in (kwargs or {}).items()})

    def to(self, device: torch.device | str) -> RowsOnDisk:
        """The same rows for another device."""
        return RowsOnDisk(self._read, self.shape[0], self.shape[1], device)

    def split(self, size: int) -> Iterator[Tensor]:
        """The rows in pieces of ``size``, each read when its turn comes."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def between(self, start: int, stop: int) -> RowsOnDisk:
        """The rows from ``start`` to ``stop``, which stay on disk as well."""
        return RowsOnDisk(lambda rows: self._read(rows + start), stop - start, self.shape[1], self.device)

    def whole(self) -> Tensor:
        """All rows, in memory."""
        return self[:]

    def _rows(self, numbers: np.ndarray) -> Tensor:
        numbers = np.where(numbers < 0, numbers + len(self), numbers)
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise IndexError(f"there are {len(self)} rows, and no {numbers.max()}")
        return torch.from_numpy(np.ascontiguousarray(self._read(numbers), np.float32)).to(self.device)


def hold_or_read(rows: RowsOnDisk) -> Tensor:
    """The rows in memory, or left on disk where the processes of a machine would hold more than `HELD` of them."""
    held = 4 * rows.shape.numel() * processes_here() <= HELD
    return rows.whole() if held else cast(Tensor, rows)


def rows_between(features: Tensor, start: int, stop: int) -> Tensor:
    """The rows from ``start`` to ``stop``, on disk where the features are."""
    return cast(Tensor, features.between(start, stop)) if isinstance(features, RowsOnDisk) else features[start:stop]


def row_blocks(features: Tensor) -> Iterator[Tensor]:
    """Features ``(N, ...)`` in pieces, so that no more than one is read of `RowsOnDisk`."""
    return (features[start : start + BLOCK] for start in range(0, len(features), BLOCK))


def all_finite(features: Tensor) -> bool:
    """Whether there is no NaN or infinity."""
    return all(bool(torch.isfinite(block).all()) for block in row_blocks(features))


def root_mean_square(features: Tensor) -> float:
    """The root of the mean square of all numbers."""
    total = sum(float(block.cpu().double().pow(2).sum()) for block in row_blocks(features))
    return math.sqrt(total / features.shape.numel())


def spread(features: Tensor) -> float:
    """The mean over dimensions of the rows' standard deviation."""
    total, squares = (torch.zeros(features.shape[1], dtype=torch.float64) for _ in range(2))
    for block in row_blocks(features):
        total += block.cpu().double().sum(0)
    for block in row_blocks(features):
        squares += (block.cpu().double() - total / len(features)).pow(2).sum(0)
    return float((squares / (len(features) - 1)).sqrt().mean())
