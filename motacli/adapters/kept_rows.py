"""Rows of numbers that take long to compute, kept in HDF5 files: what `FrozenStore` is made of. [ours]

A file holds float32 ``rows`` in the order they were computed in, and that ``order``. Its attributes say what the rows
were made of, by digests and in words; ``sha256`` covers all of it and is checked whenever the file is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from motacli import __version__
from motacli.cache.gathering import gather, runs_of
from motacli.console import Progress
from motacli.errors import DataError, MotaError
from motacli.hdf5 import UNSEALED, FileKind, digest_rows, in_place, read_rows, text_digest, write_rows
from motacli.locks import locked
from motacli.processes.launch import is_first_here
from motacli.rows_on_disk import RowsOnDisk, hold_or_read
from motacli.runs import new_file, partial_path

FORMAT = 1
_FILE = FileKind("file of frozen features", "it is made when it is needed", "remove it, and it is made again")
_HEADER = ("format", "kind", "digest", "made_of", "names", "mota", "created")


@dataclass(frozen=True)
class Origin:
    """What rows come from: ``made_of`` holds all they depend on, mostly digests, and ``names`` what people call it."""

    kind: str
    made_of: Mapping[str, str | int | float]
    names: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 (first 16 digits) of what the rows depend on."""
        return text_digest([str(FORMAT), self.kind, _json(self.made_of)]).hexdigest()[:16]


@dataclass(frozen=True)
class Work:
    """How rows ``(N, *shape)`` are computed where they are not on disk.

    ``order`` gives the numbers ``(N,)`` of the rows in the order to compute them in, the same at every call;
    ``compute`` the rows ``(B, *shape)`` of some numbers ``(B,)``; ``batch_size`` how many numbers it gets.
    """

    count: int
    shape: tuple[int, ...]
    order: Callable[[], np.ndarray]
    compute: Callable[[np.ndarray], np.ndarray | Tensor]
    batch_size: int
    doing: str
    if_not_finite: MotaError = field(default_factory=lambda: MotaError("numbers that are not finite were computed"))


def kept_rows(path: Path, origin: Origin, work: Work, progress: Progress, picked: np.ndarray | None = None) -> Tensor:
    """The rows ``(N, *shape)``, or those of the numbers ``picked`` ``(P,)``, from ``path``, made where it is missing.

    They are float32 on the CPU, and at most these and a block of the file are in memory, or less where they are many
    (`motacli.rows_on_disk.hold_or_read`). An unfinished file goes on after its last batch; one process makes a file,
    others wait. Raises `DataError` for a file, finished or not, that is damaged or holds something else, `MotaError`
    where computed numbers are not finite or the disk is full.
    """
    make_rows(path, origin, work, progress)
    return _read(path, origin, work, picked)


def make_rows(path: Path, origin: Origin, work: Work, progress: Progress) -> None:
    """Make the file where it is missing, as `kept_rows` does."""
    if not path.exists():
        with locked(path, lambda: progress.log(f"waiting for another process that makes {path}")):
            if not path.exists():
                _make(path, origin, work, progress)


def computed_rows(work: Work, progress: Progress) -> Tensor:
    """The same rows ``(N, *shape)`` without a file."""
    found = np.empty((work.count, *work.shape), np.float32)
    for numbers in progress.track(_batches(work.order(), work.batch_size), work.doing):
        found[numbers] = _finite(work, numbers)
    return torch.from_numpy(found)


# ---------------------------------------------------------------------------------------------- writing


def _make(path: Path, origin: Origin, work: Work, progress: Progress) -> None:
    order = work.order()
    with new_file(path) as part:
        if not part.exists():
            _begin(part, origin, work, order)
        with _FILE.opened(part, "r+") as file:
            header = _read_header(file, part, origin, work)
            with _FILE.explaining_damage(part):
                done = int(file["done"][0])
                if not (0 <= done <= work.count and np.array_equal(file["order"][:], order)):
                    raise DataError(f"{part} is damaged: it says that other rows are finished", _FILE.again)
            if done:
                progress.log(f"going on after {done} of {work.count} rows of {path.name}")
            for numbers in progress.track(_batches(order[done:], work.batch_size), work.doing):
                done = write_rows(file, "rows", 0, done, _finite(work, numbers))
            file.attrs.modify("sha256", np.bytes_(_contents_digest(file, header)))
        with part.open("rb") as written:
            os.fsync(written.fileno())


def _begin(part: Path, origin: Origin, work: Work, order: np.ndarray) -> None:
    blank = partial_path(part)
    with h5py.File(blank, "w") as file:
        file.attrs.update(
            format=FORMAT,
            kind=origin.kind,
            digest=origin.digest(),
            made_of=_json(origin.made_of),
            names=_json(origin.names),
            mota=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            sha256=UNSEALED,
        )
        file.create_dataset("done", (1,), np.int64, dcpl=in_place(), fillvalue=0)
        file.create_dataset("order", data=order.astype(np.int64))
        file.create_dataset("rows", (work.count, *work.shape), np.float32, dcpl=in_place())
    os.replace(blank, part)


def _batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _finite(work: Work, numbers: np.ndarray) -> np.ndarray:
    rows = work.compute(numbers)
    found: np.ndarray = rows.detach().float().cpu().numpy() if isinstance(rows, Tensor) else rows
    if found.shape != (len(numbers), *work.shape):
        raise ValueError(f"{work.doing}: {found.shape} is not {(len(numbers), *work.shape)}")
    if not np.isfinite(found).all():
        raise work.if_not_finite
    return found


# ---------------------------------------------------------------------------------------------- reading


def _read(path: Path, origin: Origin, work: Work, picked: np.ndarray | None) -> Tensor:
    with _FILE.opened(path, "r") as file, _FILE.explaining_damage(path):
        header = _read_header(file, path, origin, work)
        if is_first_here() and file.attrs["sha256"] != np.bytes_(_contents_digest(file, header)):
            raise DataError(f"{path} is damaged: its contents do not match its checksum", _FILE.again)
        place = np.empty(work.count, np.int64)
        place[file["order"][:]] = np.arange(work.count)
        places, runs = place if picked is None else place[picked], runs_of(file["rows"], path)
        if runs is None:  # of one number each
            return torch.from_numpy(read_rows(file["rows"], places))
    width, float32 = work.shape[0], np.dtype(np.float32)
    return hold_or_read(RowsOnDisk(lambda rows: gather(runs, places[rows], float32, width), len(places), width))


def _read_header(file: h5py.File, path: Path, origin: Origin, work: Work) -> dict[str, str]:
    with _FILE.explaining_damage(path):
        if not all(name in file.attrs for name in (*_HEADER, "sha256")):
            raise DataError(f"{path} is no {_FILE.what} of mota", _FILE.again)
        header = {name: str(file.attrs[name]) for name in _HEADER}
        if header["format"] != str(FORMAT):
            raise DataError(f"{path}: format {header['format']} is not {FORMAT}, the one known here", _FILE.again)
        if (header["kind"], header["digest"]) != (origin.kind, origin.digest()):
            raise DataError(f"{path} holds something else: {header['kind']} of {header['names']}", _FILE.again)
        shape, found = (work.count, *work.shape), file["rows"]
        if found.shape != shape or found.dtype != np.float32 or file["order"].shape != shape[:1]:
            raise DataError(f"{path} is damaged: it holds {found.dtype} {found.shape}, not {shape}", _FILE.again)
    return header


def _contents_digest(file: h5py.File, header: Mapping[str, str]) -> str:
    """SHA-256 of attributes, order and rows."""
    digest = text_digest([_json(header)])
    for name in ("order", "rows"):
        digest_rows(digest, file[name])
    found: str = digest.hexdigest()
    return found


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True, ensure_ascii=False)
