"""The features of an index's pictures on disk, mapped into memory: one row per picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motacli.errors import DataError
from motacli.runs import explained

FEATURES = "features.npy"
NORMS = "norms.npy"
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Vectors:
    """Features by row, as the backbone gave them, and how long they are.

    ``stored`` ``(N, d)`` is float16 or float32 and mapped from its file, so that only what is looked at is read;
    ``norms`` ``(N,)`` float32 are the lengths of just these (rounded) rows. Raises `DataError` where the two differ in
    rows or the numbers are of other types.
    """

    stored: np.ndarray
    norms: np.ndarray

    def __post_init__(self) -> None:
        if self.stored.ndim != 2 or self.stored.dtype not in (np.float16, np.float32):
            raise DataError(f"features of an index are (N, d) in float16 or float32, not {self.stored.shape}")
        if self.norms.shape != (len(self.stored),):
            raise DataError(f"{len(self.stored)} features have {len(self.norms)} lengths")

    @classmethod
    def open(cls, folder: Path) -> Vectors:
        """What `write` left in a folder; `MotaError` or `DataError` where it is not there or cannot be read."""
        with explained(folder / FEATURES):
            return cls(np.load(folder / FEATURES, mmap_mode="r"), np.load(folder / NORMS))

    @classmethod
    def write(cls, folder: Path, blocks: Iterable[np.ndarray], rows: int, width: int, dtype: str) -> Vectors:
        """Write blocks ``(n, d)``, ``rows`` in all, as ``dtype``, to an existing folder, and open them."""
        stored = np.lib.format.open_memmap(folder / FEATURES, "w+", np.dtype(dtype), (rows, width))
        norms, at = np.zeros(rows, dtype=np.float32), 0
        for block in blocks:
            here = slice(at, at + len(block))
            stored[here] = block
            norms[here] = np.linalg.norm(stored[here].astype(np.float32), axis=1)
            at += len(block)
        if at != rows:
            raise DataError(f"{at} features came for {rows} pictures")
        stored.flush()
        np.save(folder / NORMS, norms)
        return cls.open(folder)

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def width(self) -> int:
        """How many numbers a row has, ``d``."""
        return int(self.stored.shape[1])

    def units(self, rows: slice | np.ndarray) -> np.ndarray:
        """Unit vectors ``(n, d)``, float32, of some rows; a row of zeros stays zeros."""
        lengths = self.norms[rows][:, None]
        units: np.ndarray = self.stored[rows].astype(np.float32) / np.where(lengths > 0, lengths, 1)
        return units

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, np.ndarray]]:
        """All unit vectors, ``size`` rows at a time, with the number of the first."""
        for start in range(0, len(self), size):
            yield start, self.units(slice(start, start + size))
