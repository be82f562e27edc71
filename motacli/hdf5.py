"""HDF5 files that are filled row by row, survive a kill at any moment, and say what is wrong with them.

A file is laid out whole before the first row is computed; rows are then written in place and counted in the dataset
``done``. Nothing that a kill interrupts can leave such a file inconsistent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from motacli.errors import DataError, MotaError
from motacli.runs import explained

BLOCK = 1 << 16
"""Rows read at once, so that no more than those and the result are in memory."""

_TEXTS_AT_ONCE = 1024
UNSEALED = np.bytes_("-" * 64)
"""The attribute ``sha256`` of a file that is not complete."""

_DAMAGED = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


@dataclass(frozen=True)
class FileKind:
    """Words for messages: what a file is called, and what to do where it is ``missing`` and to have it ``again``."""

    what: str
    missing: str
    again: str

    @contextmanager
    def opened(self, path: Path, mode: str) -> Iterator[h5py.File]:
        """The open file. Raises `DataError` for what is no HDF5 file, `MotaError` for one in use or out of reach."""
        if path.is_dir():
            raise DataError(f"{path} is a folder, not a {self.what}", "give one of the .h5 files in it")
        try:
            file = h5py.File(path, mode)
        except FileNotFoundError:
            raise DataError(f"no such {self.what}: {path}", self.missing) from None
        except BlockingIOError as error:
            raise MotaError(f"{path} is in use by another process", "wait for it to end") from error
        except OSError as error:
            with explained(path):
                path.open("rb").close()  # says so if the trouble is permission rather than contents
            raise DataError(f"{path} is not a readable HDF5 file: {error}", self.again) from error
        with file:
            yield file

    @contextmanager
    def explaining_damage(self, path: Path) -> Iterator[None]:
        """Turn whatever reading a damaged file raises into a `DataError` that names it."""
        try:
            yield
        except _DAMAGED as error:
            raise DataError(f"{path} is damaged: {' '.join(str(error).split())}", self.again) from error


def in_place() -> Any:
    """Properties of a dataset that is allocated when it is made, in one piece."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return properties


def write_rows(file: h5py.File, name: str, counter: int, start: int, rows: np.ndarray) -> int:
    """Write rows, then count them: an interruption between the two only costs these. Gives the new count."""
    stop = start + len(rows)
    file[name][start:stop] = rows
    file.flush()
    file["done"][counter] = stop
    file.flush()
    return stop


def read_rows(dataset: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """Rows ``(N,)`` of a dataset in any order, read in blocks: HDF5 is slow at picking single rows."""
    found = np.empty((len(rows), *dataset.shape[1:]), np.float32)
    for start in range(0, len(dataset), BLOCK):
        inside = (rows >= start) & (rows < start + BLOCK)
        if inside.any():
            found[inside] = dataset[start : start + BLOCK][rows[inside] - start]
    return found


def digest_rows(digest: Any, dataset: h5py.Dataset) -> None:
    """Add a dataset of numbers to a digest, block by block."""
    for start in range(0, len(dataset), BLOCK):
        digest.update(np.ascontiguousarray(dataset[start : start + BLOCK]).data)


def text_digest(*columns: Iterable[str]) -> Any:
    """The SHA-256 of columns of texts, which other columns cannot have by chance; more may be added to it."""
    digest = hashlib.sha256()
    for column in columns:
        texts = iter(column)
        while some := [text.encode("utf-8", "surrogatepass") for text in islice(texts, _TEXTS_AT_ONCE)]:
            digest.update(b"".join([part for data in some for part in (len(data).to_bytes(8, "little"), data)]))
        digest.update(b"\xff" * 8)  # no length: tells columns apart
    return digest
