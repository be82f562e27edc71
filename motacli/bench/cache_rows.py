"""Rows of a cache: written from memory beside a plain write of as many bytes, and read beside h5py, row by row."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from motacli.bench.cache_encoding import same_features
from motacli.bench.harness import Work
from motacli.cache import FeatureCache
from motacli.cache.columns import BLOCK_ROWS, Columns, Values
from motacli.cache.header import Header
from motacli.cache.putting_together import put_together
from motacli.errors import MotaError

WIDTH = 768
_PIECE = 1 << 20
_DISTINCT = 16
"""Blocks of rows that are drawn; more rows repeat them."""


@dataclass(frozen=True)
class RowInputs:
    """Rows in half precision, a block at a time; ``folder`` is removed when this is."""

    folder: tempfile.TemporaryDirectory[str]
    blocks: tuple[np.ndarray, ...]
    rows: int
    ids: tuple[str, ...]
    picked: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.folder.name) / "f.h5"

    def features(self) -> Iterator[np.ndarray]:
        """All rows."""
        for number, start in enumerate(range(0, self.rows, BLOCK_ROWS)):
            yield self.blocks[number % len(self.blocks)][: self.rows - start]

    def write(self) -> int:
        """Into a cache; its size in bytes."""
        self.path.unlink(missing_ok=True)
        header = Header("bench", "0" * 16, WIDTH, dtype="float16", count=self.rows)
        put_together(self.path, header, False, self._pieces)
        return self.path.stat().st_size

    def _pieces(self, names: Sequence[str]) -> Iterator[Columns]:
        start = 0
        for block in self.features():
            piece: dict[str, Values] = {
                "ids": self.ids[start : start + len(block)],
                "features": block,
            }
            yield {name: piece[name] for name in names}
            start += len(block)


@dataclass(frozen=True)
class WritingCase:
    """Writing rows of 768 half-precision numbers, flushed to the disk, with ids and checksums."""

    name: str
    rows: int

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows, and their size in megabytes."""
        return {"rows": self.rows, "width": WIDTH, "megabytes": self.rows * WIDTH * 2 // 10**6}

    def figures(self, seconds: float, baseline_seconds: float) -> Mapping[str, float]:
        """How much of the disk's own speed is left."""
        return {"share_of_disk": baseline_seconds / seconds}

    def inputs(self, seed: int) -> RowInputs:
        """Rows."""
        return row_inputs(self.rows, seed)

    def ours(self, inputs: RowInputs) -> Work:
        """A cache."""
        return inputs.write

    def baseline(self, inputs: RowInputs) -> Work:
        """As many bytes, one after the other, and fsync."""

        def plain() -> int:
            path = Path(inputs.folder.name) / "plain"
            path.unlink(missing_ok=True)
            with path.open("wb", buffering=0) as file:
                for block in inputs.features():
                    data = block.reshape(-1).view(np.uint8).data
                    for start in range(0, len(data), _PIECE):
                        file.write(data[start : start + _PIECE])
                os.fsync(file.fileno())
            return path.stat().st_size

        return plain

    def check(self, inputs: RowInputs, ours: int, baseline: int) -> int:
        """The cache holds what was to be written."""
        found = FeatureCache(inputs.path)  # which compares it with its checksums
        first = next(inputs.features()).astype(np.float32)
        if len(found) != self.rows or baseline > ours or not np.array_equal(next(found.blocks(size=len(first))), first):
            raise MotaError(f"{self.name}: the cache does not hold the rows that were written")
        return 0


@dataclass(frozen=True)
class ReadingCase:
    """Reading some rows in random order."""

    name: str
    rows: int
    picked: int

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows of the file, and rows that are read."""
        return {"rows": self.rows, "picked": self.picked, "width": WIDTH}

    def inputs(self, seed: int) -> RowInputs:
        """A cache, and the ids to read."""
        inputs = row_inputs(self.rows, seed)
        inputs.write()
        picked = np.random.default_rng(seed).integers(0, self.rows, self.picked)
        return replace(inputs, picked=tuple(inputs.ids[row] for row in picked))

    def ours(self, inputs: RowInputs) -> Work:
        """By the cache's reader, opened before."""
        reader = FeatureCache(inputs.path, check=False)
        reader.features(inputs.picked[:2])
        return lambda: reader.features(inputs.picked)

    def baseline(self, inputs: RowInputs) -> Work:
        """By h5py, a row at a time, from a file that is open; where the rows are is known."""
        rows = [int(id[:9]) for id in inputs.picked]

        def one_by_one() -> np.ndarray:
            with h5py.File(inputs.path) as file:
                features = file["features"]
                return np.stack([features[row] for row in rows]).astype(np.float32)

        return one_by_one

    def check(self, inputs: RowInputs, ours: np.ndarray, baseline: np.ndarray) -> int:
        """The same rows."""
        return same_features(self.name, ours, baseline)


def row_inputs(rows: int, seed: int) -> RowInputs:
    """Random rows."""
    rng = np.random.default_rng(seed)
    drawn = min(_DISTINCT, -(-rows // BLOCK_ROWS))
    blocks = tuple(rng.normal(size=(BLOCK_ROWS, WIDTH)).astype(np.float16) for _ in range(drawn))
    return RowInputs(tempfile.TemporaryDirectory(), blocks, rows, tuple(f"{row:09}.jpg" for row in range(rows)))
