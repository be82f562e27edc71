"""Reading a cache: checked when it is opened, read in blocks or row by row, from any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from motacli.cache import format_1
from motacli.cache.columns import columns_of, is_sealed, wrong_blocks
from motacli.cache.fingerprints import require_backbone
from motacli.cache.gathering import Runs, gather, runs_of
from motacli.cache.header import FILE, Header, read_header
from motacli.cache.work import say_unfinished
from motacli.contracts import Backbone
from motacli.errors import DataError
from motacli.hdf5 import BLOCK, read_rows


class FeatureCache:
    """A complete feature file. Opening it checks its format and its checksums; `DataError` says what is wrong.

    ``ids`` are in the order of the file; ``fingerprint`` and ``backbone`` are those of the backbone that made it. No
    HDF5 file stays open between two calls, so a reader may be pickled, and used before and after a fork.
    """

    def __init__(self, path: Path, *, check: bool = True) -> None:
        self.path = Path(path)
        if not self.path.exists():
            say_unfinished(self.path)
        with FILE.opened(self.path, "r") as file, FILE.explaining_damage(self.path):
            self.header = open_header(file, self.path)
            self.has_captions = "captions" in file
            self.sha256 = _text(file.attrs["sha256"])
            if check:
                require_intact(file, self.path, self.header)
        self.backbone, self.fingerprint = self.header.backbone, self.header.fingerprint
        self.joint_dim, self.normalised = self.header.joint_dim, self.header.normalised
        self.mota, self.created, self.skipped = self.header.mota, self.header.created, self.header.skipped
        self._places: dict[str, Runs | None] = {}

    def __len__(self) -> int:
        return self.header.count

    def __getstate__(self) -> dict[str, Any]:
        lazy = ("ids", "_row")
        return {name: value for name, value in self.__dict__.items() if name not in lazy} | {"_places": {}}

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of all pictures, in the order of the file."""
        with FILE.opened(self.path, "r") as file, FILE.explaining_damage(self.path):
            return tuple(file["ids"].asstr()[:])

    def features(self, ids: Sequence[str] | None = None) -> np.ndarray:
        """Image features ``(N, d)`` of these ids, or of all, float32; `DataError` for unknown ids."""
        return self._numbers("features", ids)

    def text_features(self, ids: Sequence[str] | None = None) -> np.ndarray:
        """Text features ``(N, d)`` of the captions of these ids, or of all; `DataError` where there are no captions."""
        self._require_captions()
        return self._numbers("text_features", ids)

    def captions(self, ids: Sequence[str] | None = None) -> tuple[str, ...]:
        """The captions of these ids, or of all; `DataError` where there are none."""
        self._require_captions()
        rows = self._rows_of(ids)
        with FILE.opened(self.path, "r") as file, FILE.explaining_damage(self.path):
            return tuple(file["captions"].asstr()[:][rows])

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """The numbers ``(N,)`` of these pictures' rows in the file; `DataError` for unknown ids."""
        return self._rows_of(ids)

    def at(self, rows: np.ndarray, name: str = "features") -> np.ndarray:
        """Features ``(R, d)``, float32, of the rows ``(R,)`` of the file, in any order: no others are read."""
        return self._read(name, rows)

    def blocks(self, name: str = "features", size: int = BLOCK) -> Iterator[np.ndarray]:
        """Features ``(size, d)``, float32, block by block in the order of the file: no more is in memory."""
        for start in range(0, len(self), size):
            yield self._read(name, np.arange(start, min(start + size, len(self))))

    def require(self, backbone: Backbone) -> None:
        """Raise `DataError`, naming what differs, unless ``backbone`` is the one that made these features."""
        require_backbone(self.header, self.path, backbone)

    def _numbers(self, name: str, ids: Sequence[str] | None) -> np.ndarray:
        return self._read(name, self._rows_of(ids))

    def _read(self, name: str, rows: np.ndarray) -> np.ndarray:
        if len(rows) and not _is_range(rows) and (place := self._place(name)) is not None:
            with FILE.explaining_damage(self.path):
                found = gather(place, rows, np.dtype(self.header.dtype), self.joint_dim)
            return found.astype(np.float32, copy=False)
        with FILE.opened(self.path, "r") as file, FILE.explaining_damage(self.path):
            if len(rows) and _is_range(rows):
                return np.asarray(file[name][rows[0] : rows[-1] + 1], np.float32)
            return read_rows(file[name], rows)

    def _place(self, name: str) -> Runs | None:
        if name not in self._places:
            with FILE.opened(self.path, "r") as file, FILE.explaining_damage(self.path):
                self._places[name] = runs_of(file[name], self.path)
        return self._places[name]

    @cached_property
    def _row(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.ids)}

    def _rows_of(self, ids: Sequence[str] | None) -> np.ndarray:
        if ids is None:
            return np.arange(len(self))
        missing = [id for id in dict.fromkeys(ids) if id not in self._row]
        if missing:
            raise DataError(
                f"{self.path} has no features of {len(missing)} of {len(ids)} pictures, the first is {missing[0]!r}",
                "were they made from other data?",
            )
        return np.array([self._row[id] for id in ids], dtype=np.int64)

    def _require_captions(self) -> None:
        if not self.has_captions:
            raise DataError(f"{self.path} holds no captions", "give a file that `mota cache --data` wrote")


def open_header(file: h5py.File, path: Path) -> Header:
    """The header of a complete cache of any format, its columns of the right shape; else `DataError`."""
    if format_1.is_old(file):
        return format_1.read_old(file, path)
    header = read_header(file, path)
    if not header.complete:
        raise DataError(f"{path} is unfinished", "run the same `mota cache` again")
    shape = (header.count, header.joint_dim)
    for name in columns_of("captions" in file):
        wanted = shape if name.endswith("features") else shape[:1]
        if file[name].shape != wanted or (len(wanted) == 2 and file[name].dtype != np.dtype(header.dtype)):
            raise DataError(f"{path} is damaged: {name!r} is {file[name].dtype} {file[name].shape}", FILE.again)
    return header


def require_intact(file: h5py.File, path: Path, header: Header) -> None:
    """Raise `DataError` unless header and contents match their checksums."""
    if header.format == 1:
        format_1.require_intact(file, path)
        return
    hint = "`mota cache verify` says where; `mota cache repair` saves the rest"
    if not is_sealed(file, header):
        raise DataError(f"{path} is damaged: its attributes or checksums do not match its checksum", hint)
    for name in columns_of("captions" in file):
        if wrong := wrong_blocks(file, name, header.count):
            first, last = wrong[0][0], wrong[0][1] - 1
            raise DataError(f"{path} is damaged: rows {first} to {last} of {name!r} do not match their checksum", hint)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _is_range(rows: np.ndarray) -> bool:
    return bool(rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all())
