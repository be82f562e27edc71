"""Rows of a dataset in any order, read past HDF5: it is slow at picking single rows.

Rows of numbers that are not compressed lie in the file as they are, in runs whose places HDF5 tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@dataclass(frozen=True)
class Runs:
    """Where rows lie: run ``i`` begins with row ``starts[i]``, at ``offsets[i]`` of the file ``paths[files[i]]``."""

    starts: np.ndarray
    offsets: np.ndarray
    files: np.ndarray
    paths: tuple[Path, ...]


def runs_of(dataset: h5py.Dataset, path: Path) -> Runs | None:
    """The runs of a dataset ``(N, d)`` that is chunked by whole rows, in one piece, or virtual over such; else None."""
    if dataset.is_virtual:
        return _virtual_runs(dataset, path)
    found = _plain_runs(dataset)
    if found is None:
        return None
    return Runs(found[0], found[1], np.zeros(len(found[0]), np.int64), (path,))


def gather(runs: Runs, rows: np.ndarray, dtype: np.dtype, width: int) -> np.ndarray:
    """Rows ``(R,)`` of a dataset of that ``width``, as an array ``(R, width)``; `OSError` where the file is cut off.

    They are read in the order in which they lie, through files that are closed in the end: nothing is left open that a
    fork could inherit.
    """
    size = width * dtype.itemsize
    run = np.searchsorted(runs.starts, rows, side="right") - 1
    places, files = runs.offsets[run] + (rows - runs.starts[run]) * size, runs.files[run]
    order = np.lexsort((places, files))
    found = np.empty(len(rows) * size, np.uint8)
    for number in np.unique(files).tolist():
        here = order[files[order] == number]
        with runs.paths[number].open("rb", buffering=0) as file:
            _read_at(file, places[here].tolist(), (here * size).tolist(), size, found.data)
    return found.view(dtype).reshape(len(rows), width)


def _read_at(file: RawIOBase, places: list[int], targets: list[int], size: int, into: memoryview) -> None:
    for place, target in zip(places, targets, strict=True):
        file.seek(place)
        if file.readinto(into[target : target + size]) != size:
            raise OSError(f"the file ends before byte {place + size}")


def _plain_runs(dataset: h5py.Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    if dataset.ndim != 2 or dataset.compression or dataset.shuffle or dataset.fletcher32 or not len(dataset):
        return None
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        return None if offset is None else (np.zeros(1, np.int64), np.array([offset], np.int64))
    if dataset.chunks[1] != dataset.shape[1]:
        return None
    chunks = _chunks(dataset)
    if len(chunks) != -(-len(dataset) // dataset.chunks[0]):
        return None
    starts, offsets = np.array(chunks, np.int64).T
    size = dataset.shape[1] * dataset.dtype.itemsize
    begins = np.r_[True, np.diff(offsets) != np.diff(starts) * size]  # chunks one behind the other are one run
    return starts[begins], offsets[begins]


def _chunks(dataset: h5py.Dataset) -> list[tuple[int, int]]:
    """First row and place in the file of each chunk, by row."""
    infos: list[Any] = []
    if hasattr(dataset.id, "chunk_iter"):  # which takes time by their number, the other way by its square
        dataset.id.chunk_iter(infos.append)
    else:
        infos = [dataset.id.get_chunk_info(index) for index in range(dataset.id.get_num_chunks())]
    return sorted((info.chunk_offset[0], info.byte_offset) for info in infos)


def _virtual_runs(dataset: h5py.Dataset, path: Path) -> Runs | None:
    starts: list[np.ndarray] = []
    offsets: list[np.ndarray] = []
    files: list[np.ndarray] = []
    paths: list[Path] = []
    for source in dataset.virtual_sources():
        part = path.parent / source.file_name
        first = source.vspace.get_select_bounds()[0][0]
        with h5py.File(part, "r") as file:
            if file[source.dset_name].dtype != dataset.dtype:
                return None
            found = _plain_runs(file[source.dset_name])
        if found is None:
            return None
        starts.append(first + found[0])
        offsets.append(found[1])
        files.append(np.full(len(found[0]), len(paths)))
        paths.append(part)
    order = np.argsort(np.concatenate(starts), kind="stable")
    begin, offset, file_of = (np.concatenate(values).astype(np.int64)[order] for values in (starts, offsets, files))
    return Runs(begin, offset, file_of, tuple(paths))
