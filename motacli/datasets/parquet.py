"""Parquet files, read a few rows at a time. `motacli.datasets.arrow` says where pictures inside of them are."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

from motacli.contracts import ImageText
from motacli.datasets.arrow import EXTRA, explained, missing, picture_bytes, place_of, rows, storage
from motacli.datasets.columns import USUAL, Columns, Found
from motacli.datasets.places import open_raw, version
from motacli.extras import needed
from motacli.remote.urls import is_remote, shown

ROWS = 1024
PICTURES = 16
"""Rows taken in at once, without and with the bytes of pictures."""
KEPT = 8
"""Batches of pictures kept for readers that are not quite in order."""


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """The rows of a Parquet file. Pictures inside of it are not read, as long as its statistics say which are there."""

    path: Path
    columns: Columns = USUAL

    def __post_init__(self) -> None:
        needed("pyarrow.parquet", EXTRA, shown(self.path))

    def __len__(self) -> int:
        with explained(self.path), _opened(self.path) as file:
            return int(file.metadata.num_rows)

    def __iter__(self) -> Iterator[ImageText]:
        start = 0
        with explained(self.path), _opened(self.path) as file:
            schema = file.schema_arrow
            names = self.columns.found_in(schema.names, shown(self.path))
            kind = storage(schema.field(names.image).type, names.image, self.path)
            for group in range(file.num_row_groups):
                embedded = kind != "text" and _all_embedded(file.metadata.row_group(group), _leaf(names.image, kind))
                wanted = [name for name in _wanted(names, embedded) if name is not None]
                size = ROWS if embedded or kind == "text" else PICTURES
                for batch in file.iter_batches(size, row_groups=[group], columns=wanted):
                    yield from rows(self.path, names, batch, start, embedded)
                    start += batch.num_rows


def read_picture(path: Path, member: str) -> bytes:
    """The bytes of the picture at ``column/number``; `DataError` where the file lacks it or is broken."""
    name, number = place_of(path, member)
    return picture_bytes(_pictures(path, version(path), name).read(number, member), path, member)


class _Pictures:
    """The pictures in a column, for readers that go through it more or less in order.

    A picture far back in a row group takes all that is before it, so one that jumps about in large groups is slow.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._file = _opened(path)
        schema = self._file.schema_arrow
        known = name in schema.names
        self._leaf = _leaf(name, storage(schema.field(name).type, name, path)) if known else ""
        groups = (self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups))
        self._starts = list(accumulate(groups, initial=0))
        self._lock = Lock()
        self._kept: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self._batches: Iterator[Any] = iter(())
        self._next = self._end = 0

    def read(self, number: int, member: str) -> object:
        """The cell of row ``number``."""
        if not self._leaf or number >= self._starts[-1]:
            raise missing(self._path, member)
        with self._lock, explained(self._path):
            while True:
                for start, cells in self._kept:
                    if start <= number < start + len(cells):
                        return cells[number - start].as_py()
                if not self._next <= number < self._end:
                    self._go_to(number)
                batch = next(self._batches, None)
                if batch is None:
                    raise missing(self._path, member)
                cells = batch.column(self._name)
                self._kept.append((self._next, cells))
                self._next += len(cells)

    def _go_to(self, number: int) -> None:
        group = bisect_right(self._starts, number) - 1
        self._batches = self._file.iter_batches(PICTURES, row_groups=[group], columns=[self._leaf])
        self._next, self._end = self._starts[group], self._starts[group + 1]


@lru_cache(maxsize=4)
def _pictures(path: Path, version: Hashable, name: str) -> _Pictures:
    with explained(path):
        return _Pictures(path, name)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pictures.cache_clear)  # another thread may be reading by one


def _opened(path: Path) -> Any:
    # Without these settings pyarrow takes in whole row groups, which may be the whole file.
    parquet = needed("pyarrow.parquet", EXTRA, shown(path))
    return parquet.ParquetFile(open_raw(path) if is_remote(path) else path, pre_buffer=False, buffer_size=1 << 16)


def _leaf(name: str, kind: str) -> str:
    return f"{name}.bytes" if kind == "struct" else name


def _wanted(names: Found, embedded: bool) -> tuple[str | None, ...]:
    return (names.caption, names.id) if embedded else names


def _all_embedded(group: Any, leaf: str) -> bool:
    """Whether the statistics of a row group say that no picture of it is elsewhere."""
    chunks = (group.column(number) for number in range(group.num_columns))
    statistics = next((chunk.statistics for chunk in chunks if chunk.path_in_schema == leaf), None)
    return statistics is not None and statistics.has_null_count and statistics.null_count == 0
