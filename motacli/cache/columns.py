"""The datasets of a cache, each a column with a row per picture, and the checksums of their blocks.

``ids`` (N) and ``captions`` (N) are UTF-8 strings, ``features`` and ``text_features`` (N, d) floats in chunks of whole
rows, not compressed. ``checksums/<column>`` (B, 32) is the SHA-256 of every `BLOCK_ROWS` rows of a column.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import h5py
import numpy as np

from motacli.cache.header import Header
from motacli.hdf5 import in_place, text_digest

BLOCK_ROWS = 4096
CHUNK_BYTES = 1 << 19
_AHEAD = 4
TEXTS = ("ids", "captions")
IMAGE_COLUMNS = ("ids", "captions", "features")
"""What a picture's encoding fills; ``text_features`` come later. A cache without captions has neither of these."""

Values = Sequence[str] | np.ndarray
Columns = Mapping[str, Values]


def columns_of(captions: bool) -> tuple[str, ...]:
    """The names of the columns of a cache with or without captions."""
    return ("ids", "captions", "features", "text_features") if captions else ("ids", "features")


def values_digest(name: str, values: Values) -> bytes:
    """SHA-256 of some rows of a column."""
    if name in TEXTS:
        return bytes(text_digest([str(text) for text in values]).digest())
    return hashlib.sha256(np.ascontiguousarray(values).data).digest()


def read_values(file: h5py.File, name: str, start: int, stop: int) -> Values:
    """Rows of a column: a list of texts, or an array in the number type of the file."""
    if name in TEXTS:
        return list(file[name].asstr()[start:stop])
    return np.asarray(file[name][start:stop])


def create_column(file: h5py.File, name: str, header: Header) -> h5py.Dataset:
    """An empty column for ``header.count`` rows; one of numbers has its place in the file at once."""
    if name in TEXTS:
        return file.create_dataset(name, (header.count,), h5py.string_dtype())
    dtype = np.dtype(header.dtype)
    rows = max(1, min(header.count, CHUNK_BYTES // (header.joint_dim * dtype.itemsize)))
    properties = in_place()
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    shape, chunks = (header.count, header.joint_dim), (rows, header.joint_dim)
    return file.create_dataset(name, shape, dtype, chunks=chunks, dcpl=properties)


class BlockChecksums:
    """The checksums of a column's blocks, whatever the pieces it comes in; what is added must not be changed.

    ``beside`` computes them while the disk is written to; no more than `_AHEAD` blocks wait for it.
    """

    def __init__(self, name: str, beside: Executor) -> None:
        self._name, self._beside = name, beside
        self._waiting: list[Values] = []
        self._rows = 0
        self._under_way: deque[Future[bytes]] = deque()
        self._found: list[bytes] = []

    def add(self, values: Values) -> None:
        """The next rows."""
        while len(values):
            room = BLOCK_ROWS - self._rows
            self._waiting.append(values[:room])
            self._rows += len(values[:room])
            values = values[room:]
            if self._rows == BLOCK_ROWS:
                self._close_block()

    def finish(self) -> np.ndarray:
        """All of them ``(B, 32)``, uint8."""
        if self._rows:
            self._close_block()
        self._found += [each.result() for each in self._under_way]
        self._under_way.clear()
        return np.frombuffer(b"".join(self._found), np.uint8).reshape(-1, 32)

    def _close_block(self) -> None:
        if len(self._under_way) == _AHEAD:
            self._found.append(self._under_way.popleft().result())
        self._under_way.append(self._beside.submit(_pieces_digest, self._name, self._waiting))
        self._waiting, self._rows = [], 0


def _pieces_digest(name: str, pieces: Sequence[Values]) -> bytes:
    return values_digest(name, joined(pieces))


def joined(pieces: Sequence[Values]) -> Values:
    """Pieces of a column as one."""
    if len(pieces) == 1:
        return pieces[0]
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    return [text for piece in pieces for text in piece]


def blocks(count: int) -> Iterator[tuple[int, int]]:
    """First row and the one after the last of every block."""
    for start in range(0, count, BLOCK_ROWS):
        yield start, min(start + BLOCK_ROWS, count)


def seal(file: h5py.File, header: Header) -> str:
    """SHA-256 of a header and of all checksums: what the attribute ``sha256`` holds."""
    digest = hashlib.sha256(json.dumps(header.attributes(), sort_keys=True).encode())
    for name in sorted(file["checksums"]):
        digest.update(name.encode() + np.ascontiguousarray(file["checksums"][name][:], np.uint8).tobytes())
    return digest.hexdigest()


def is_sealed(file: h5py.File, header: Header) -> bool:
    """Whether header and checksums are those that were written."""
    return bool(np.bytes_(file.attrs["sha256"]) == np.bytes_(seal(file, header)))


def wrong_blocks(file: h5py.File, name: str, count: int) -> list[tuple[int, int]]:
    """The blocks of a column that do not match their checksums, or cannot be read at all."""
    checksums: Any = file["checksums"][name][:]
    edges = list(blocks(count))
    if len(checksums) != len(edges):
        return edges
    return [
        edge for edge, known in zip(edges, checksums, strict=True) if _block_digest(file, name, edge) != known.tobytes()
    ]


def _block_digest(file: h5py.File, name: str, edge: tuple[int, int]) -> bytes | None:
    try:
        return values_digest(name, read_values(file, name, *edge))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError):  # what HDF5 says of damaged bytes
        return None
