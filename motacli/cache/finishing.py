"""From finished parts to a cache: one file, or a small one over the parts. It appears by being renamed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import h5py
import numpy as np

from motacli.cache.columns import TEXTS, BlockChecksums, Columns, ColumnWriter, blocks, columns_of, read_values, seal
from motacli.cache.header import FILE, Header
from motacli.cache.parts import sync, sync_folder
from motacli.errors import MotaError
from motacli.runs import explained

MARGIN = 1 << 20
"""Bytes of a cache beyond its numbers, at least."""


def write_single(work: Path, path: Path, header: Header, captions: bool, pieces: Iterable[Columns]) -> None:
    """Write a cache in one file: ``work`` first, which takes the name ``path`` once it has reached the disk.

    ``pieces`` hold rows of some columns each; those of one column are in the order of the file.
    """
    _require_space(path, header, captions)
    with _created(work, path) as file:
        writers = {name: ColumnWriter(file, name, header) for name in columns_of(captions)}
        for piece in pieces:
            for name, values in piece.items():
                writers[name].write(values)
        for writer in writers.values():
            writer.close()
        _seal(file, header)
    put_in_place(work, path)


VirtualRows = Sequence[tuple[str, int]]
"""Files, relative to the cache's folder, and how many rows of a column each of them holds, one after the other."""


def write_virtual(
    work: Path, path: Path, header: Header, virtual: Mapping[str, VirtualRows], pieces: Iterable[Columns]
) -> None:
    """Write a cache whose numbers stay in the files of ``virtual``, by column; ``pieces`` hold all rows, as above."""
    captions = "text_features" in virtual
    with _created(work, path) as file:
        texts = {name: ColumnWriter(file, name, header) for name in columns_of(captions) if name in TEXTS}
        checksums = {name: BlockChecksums(name) for name in virtual}
        for piece in pieces:
            for name, values in piece.items():
                (texts[name].write if name in texts else checksums[name].add)(values)
        for writer in texts.values():
            writer.close()
        for name, files in virtual.items():
            file[f"checksums/{name}"] = checksums[name].finish()
            _virtual_column(file, name, header, files)
        _seal(file, header)
    put_in_place(work, path)


def stored_pieces(path: Path, header: Header, captions: bool) -> Iterator[Columns]:
    """The rows of a finished cache, a block at a time."""
    for start, stop in blocks(header.count):
        with FILE.opened(path, "r") as file, FILE.explaining_damage(path):
            piece = {name: read_values(file, name, start, stop) for name in columns_of(captions)}
        yield piece


def virtual_rows(path: Path, name: str) -> VirtualRows:
    """The files that a column of a cache in parts lies in."""
    with FILE.opened(path, "r") as file, FILE.explaining_damage(path):
        found = []
        for source in file[name].virtual_sources():
            first, last = (bounds[0] for bounds in source.vspace.get_select_bounds())
            found.append((first, str(source.file_name), int(last - first + 1)))
        return [(name, rows) for _, name, rows in sorted(found)]


def put_in_place(work: Path, path: Path) -> None:
    """Give a file its name once it has reached the disk."""
    with explained(path):
        with work.open("rb") as written:
            sync(written.fileno())
        os.replace(work, path)
        sync_folder(path.parent)


class _created:
    """A new HDF5 file; a full disk, which HDF5 reports in many ways, is told as what it is."""

    def __init__(self, work: Path, path: Path) -> None:
        self._work, self._path = work, path

    def __enter__(self) -> h5py.File:
        with explained(self._path):
            self._work.unlink(missing_ok=True)
            self._file = h5py.File(self._work, "w")
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        try:
            self._file.close()
        except (OSError, RuntimeError) as failed:
            raise _not_written(self._path, error or failed) from failed
        if isinstance(error, (OSError, RuntimeError)) and not isinstance(error, MotaError):
            raise _not_written(self._path, error) from error


def _not_written(path: Path, error: BaseException) -> MotaError:
    return MotaError(
        f"{path} could not be written: {' '.join(str(error).split())}",
        "if the disk is full, free some space; finished parts are kept, and the same command goes on with them",
    )


def _require_space(path: Path, header: Header, captions: bool) -> None:
    import shutil

    needed = header.count * header.joint_dim * np.dtype(header.dtype).itemsize * (2 if captions else 1) + MARGIN
    with explained(path):
        free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise MotaError(
            f"no space left for {path}: it takes {needed / 1e6:.1f} MB, and {free / 1e6:.1f} MB are free",
            "free some space; finished parts are kept, and the same command goes on with them",
        )


def _virtual_column(file: h5py.File, name: str, header: Header, files: VirtualRows) -> None:
    layout = h5py.VirtualLayout((header.count, header.joint_dim), np.dtype(header.dtype))
    start = 0
    for part, rows in files:
        layout[start : start + rows] = h5py.VirtualSource(part, name, (rows, header.joint_dim), np.dtype(header.dtype))
        start += rows
    file.create_virtual_dataset(name, layout)


def _seal(file: h5py.File, header: Header) -> None:
    whole = replace(header, complete=True)
    file.attrs.update(whole.attributes())
    file.attrs["sha256"] = seal(file, whole)


def chained(*pieces: Iterable[Columns]) -> Iterator[Columns]:
    """Pieces one after the other."""
    return chain.from_iterable(pieces)
