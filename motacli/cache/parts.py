"""Part files: some neighbouring rows of a cache, written whole or not at all.

A part is put together in memory, written under another name, flushed to the disk and renamed. HDF5 never has a file
open that a crash could cut off, and a full disk is an ordinary error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from motacli.cache.columns import TEXTS, Columns, Values, columns_of, read_values, values_digest
from motacli.cache.header import FILE
from motacli.errors import DataError
from motacli.hdf5 import text_digest
from motacli.runs import explained, partial_path

Kind = Literal["images", "texts"]


@dataclass(frozen=True)
class Broken:
    """A picture that could not be read, as it stands in ``<name>.errors.jsonl``."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class Part:
    """A finished part.

    Of ``images`` it covers the rows ``start`` to ``stop`` of the source, ``rows`` of which could be read and ``broken``
    ones not; of ``texts`` those rows of the cache whose ``captions`` have that digest. ``file`` is empty where no row
    could be read.
    """

    kind: Kind
    start: int
    stop: int
    rows: int
    file: str = ""
    sha256: str = ""
    captions: str = ""
    broken: tuple[Broken, ...] = ()


def write_part(path: Path, columns: Columns) -> str:
    """Write the columns of a part; gives their digest."""
    image = BytesIO()
    with h5py.File(image, "w") as file:
        for name, values in columns.items():
            if name in TEXTS:
                file.create_dataset(name, data=list(values), dtype=h5py.string_dtype())
            else:
                file.create_dataset(name, data=values)
    work = partial_path(path)
    with explained(path):
        with work.open("wb") as written:
            written.write(image.getbuffer())
            sync(written.fileno())
        os.replace(work, path)
        sync_folder(path.parent)
    return columns_digest(columns)


def read_part(path: Path, part: Part) -> dict[str, Values]:
    """The columns of a part; `DataError` where they are not those that were written."""
    columns = read_columns(path, part, columns_of(captions=True))
    if columns_digest(columns) != part.sha256:
        raise DataError(f"{path} is damaged: it does not match its checksum", "`mota cache repair` drops such parts")
    return columns


def read_columns(path: Path, part: Part, names: Sequence[str]) -> dict[str, Values]:
    """Those of the named columns that a part has, unchecked; `DataError` where they cannot be read."""
    with FILE.opened(path, "r") as file, FILE.explaining_damage(path):
        return {name: read_values(file, name, 0, part.rows) for name in names if name in file}


def columns_digest(columns: Columns) -> str:
    """SHA-256 of the columns of a part."""
    named = [f"{name} {values_digest(name, values).hex()}" for name, values in sorted(columns.items())]
    return str(text_digest(named).hexdigest())


def captions_digest(captions: Values) -> str:
    """SHA-256 of the captions that a part of text features belongs to."""
    return values_digest("captions", captions).hex()


def as_stored(features: np.ndarray, dtype: str) -> np.ndarray:
    """Features in the number type of the cache; `DataError` where it cannot hold them."""
    with np.errstate(over="ignore"):
        found = features.astype(dtype, copy=False)
    if not np.isfinite(found).all():
        raise DataError(f"the features are too large for {dtype}", "try --dtype fp32")
    return found


def sync(handle: int) -> None:
    """Wait until a file has reached the disk."""
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder have reached the disk, on systems where a folder can be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
