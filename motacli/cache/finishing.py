"""From finished parts to a cache: one file, or a small one over the parts. It appears by being renamed.

HDF5 lays the file out and writes the texts; it can crash on a disk that fills up. Numbers, which are nearly all of it,
are therefore written past HDF5, into space that the system has promised.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import h5py
import numpy as np

from motacli.cache.columns import TEXTS, BlockChecksums, Columns, blocks, columns_of, create_column, read_values, seal
from motacli.cache.gathering import Runs, runs_of
from motacli.cache.header import FILE, Header
from motacli.cache.parts import sync, sync_folder
from motacli.errors import MotaError
from motacli.hdf5 import UNSEALED
from motacli.runs import explained

_BESIDE = 3
"""Threads beside the one that writes: two that compute checksums and one that waits for the disk."""
_PIECE = 1 << 18
"""Bytes written at once: Linux may take many times as long for more."""
MARGIN = 1 << 16
"""Bytes of a cache beyond its numbers, at least."""
_KEPT = "free some space; finished parts are kept, and the same command goes on with them"

Pieces = Callable[[Sequence[str]], Iterable[Columns]]
"""Gives rows of at least the columns that it is asked for, piece by piece; those of one column in the file's order."""

VirtualRows = Sequence[tuple[str, int]]
"""Files, relative to the cache's folder, and how many rows of a column each of them holds, one after the other."""


def write_single(work: Path, path: Path, header: Header, captions: bool, pieces: Pieces) -> None:
    """Write a cache in one file: ``work`` first, which takes the name ``path`` once it has reached the disk."""
    header, names = replace(header, complete=True), columns_of(captions)
    numbers = [name for name in names if name not in TEXTS]
    _require_space(path, header, len(numbers))
    with _created(work, path) as file:
        for name in names:
            create_column(file, name, header)
        _write_texts(file, [name for name in names if name in TEXTS], pieces)
        _lay_out_checksums(file, header, names)
        file.flush()
        runs = {name: _runs(file[name], work) for name in numbers}
    with explained(path), work.open("r+b", buffering=0) as raw, ThreadPoolExecutor(_BESIDE) as beside:
        checksums = {name: BlockChecksums(name, beside) for name in names}
        _reserve(raw)
        done, flushing = dict.fromkeys(numbers, 0), beside.submit(sync, raw.fileno())
        for piece in pieces(names):
            for name, values in piece.items():
                checksums[name].add(values)
                if name in done:
                    done[name] = _write_rows(raw, runs[name], done[name], np.asarray(values))
            if flushing.done():  # the disk is kept busy meanwhile
                flushing.result()
                flushing = beside.submit(sync, raw.fileno())
        flushing.result()
        found = {name: each.finish() for name, each in checksums.items()}
    _complete(work, path, header, found)


def write_virtual(work: Path, path: Path, header: Header, virtual: Mapping[str, VirtualRows], pieces: Pieces) -> None:
    """Write a cache whose numbers stay in the files of ``virtual``, by column."""
    header, names = replace(header, complete=True), columns_of("text_features" in virtual)
    with _created(work, path) as file:
        texts = [name for name in names if name in TEXTS]
        for name in texts:
            create_column(file, name, header)
        _write_texts(file, texts, pieces)
        _lay_out_checksums(file, header, names)
        for name, files in virtual.items():
            _virtual_column(file, name, header, files)
    with ThreadPoolExecutor(1) as beside:
        checksums = {name: BlockChecksums(name, beside) for name in names}
        for piece in pieces(names):
            for name, values in piece.items():
                checksums[name].add(values)
        found = {name: each.finish() for name, each in checksums.items()}
    _complete(work, path, header, found)


def stored_pieces(path: Path, header: Header, names: Sequence[str]) -> Iterator[Columns]:
    """Columns of a finished cache, a block of rows at a time."""
    for start, stop in blocks(header.count):
        with FILE.opened(path, "r") as file, FILE.explaining_damage(path):
            piece = {name: read_values(file, name, start, stop) for name in names}
        yield piece


def virtual_rows(path: Path, name: str) -> VirtualRows:
    """The files that a column of a cache in parts lies in."""
    with FILE.opened(path, "r") as file, FILE.explaining_damage(path):
        found = []
        for source in file[name].virtual_sources():
            first, last = (bounds[0] for bounds in source.vspace.get_select_bounds())
            found.append((first, str(source.file_name), int(last - first + 1)))
        return [(name, rows) for _, name, rows in sorted(found)]


def _write_texts(file: h5py.File, names: Sequence[str], pieces: Pieces) -> None:
    done = dict.fromkeys(names, 0)
    for piece in pieces(names):
        for name in names:
            if len(values := piece.get(name, ())):
                file[name][done[name] : done[name] + len(values)] = values
                done[name] += len(values)


def _lay_out_checksums(file: h5py.File, header: Header, names: Sequence[str]) -> None:
    """Room for checksums, and the attributes: what comes later is written in place."""
    count = len(list(blocks(header.count)))
    for name in names:
        file.create_dataset(f"checksums/{name}", data=np.zeros((count, 32), np.uint8))
    file.attrs.update(header.attributes())
    file.attrs["sha256"] = UNSEALED


def _runs(dataset: h5py.Dataset, work: Path) -> Runs:
    found = runs_of(dataset, work)
    if found is None:
        raise RuntimeError(f"HDF5 does not tell where the rows of {dataset.name} lie")
    return found


def _reserve(raw: IO[bytes]) -> None:
    """Have the system promise the space that the file's length stands for, where it can."""
    size = os.fstat(raw.fileno()).st_size
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(raw.fileno(), 0, size)


def _write_rows(raw: IO[bytes], runs: Runs, start: int, rows: np.ndarray) -> int:
    """Write rows ``(R, d)`` from the row ``start`` on, run by run; gives the row after them."""
    stop, data, size = (
        start + len(rows),
        np.ascontiguousarray(rows).view(np.uint8).ravel().data,
        rows.nbytes // len(rows),
    )
    first, last = (int(np.searchsorted(runs.starts, row, side="right")) - 1 for row in (start, stop - 1))
    for run in range(first, last + 1):
        begin = max(start, int(runs.starts[run]))
        end = min(stop, int(runs.starts[run + 1])) if run + 1 < len(runs.starts) else stop
        left = data[(begin - start) * size : (end - start) * size]
        raw.seek(int(runs.offsets[run]) + (begin - int(runs.starts[run])) * size)
        while len(left):
            left = left[raw.write(left[:_PIECE]) :]
    return stop


def _complete(work: Path, path: Path, header: Header, checksums: Mapping[str, np.ndarray]) -> None:
    """Write the checksums into the room that is left for them, and give the file its name."""
    with explained(path), h5py.File(work, "r+") as file:
        for name, found in checksums.items():
            file[f"checksums/{name}"][:] = found
        file.attrs.modify("sha256", np.bytes_(seal(file, header)))
    with explained(path):
        with work.open("rb") as written:
            sync(written.fileno())
        os.replace(work, path)
        sync_folder(path.parent)


@contextmanager
def _created(work: Path, path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file; what HDF5 says of a full disk is told as an error of ours."""
    try:
        with explained(path):
            work.unlink(missing_ok=True)
        with h5py.File(work, "w") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise MotaError(f"{path} could not be written: {' '.join(str(error).split())}", _KEPT) from error


def _require_space(path: Path, header: Header, columns: int) -> None:
    needed = header.count * header.joint_dim * np.dtype(header.dtype).itemsize * columns + MARGIN
    with explained(path):
        free = shutil.disk_usage(path.parent).free
    if free < needed:
        said = f"it takes {needed / 1e6:.1f} MB, and {free / 1e6:.1f} MB are free"
        raise MotaError(f"no space left for {path}: {said}", _KEPT)


def _virtual_column(file: h5py.File, name: str, header: Header, files: VirtualRows) -> None:
    dtype = np.dtype(header.dtype)
    layout = h5py.VirtualLayout((header.count, header.joint_dim), dtype)
    start = 0
    for part, rows in files:
        layout[start : start + rows] = h5py.VirtualSource(part, name, (rows, header.joint_dim), dtype)
        start += rows
    file.create_virtual_dataset(name, layout)
