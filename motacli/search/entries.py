"""The pictures of an index: one row each in an SQLite file, with what is known of the picture besides its feature."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from motacli.errors import DataError, MotaError
from motacli.search import filters
from motacli.search.filters import Condition

ENTRIES = "entries.sqlite"
ASKED = 500
"""Rows asked for in one statement."""

_FIELDS = ("row", "id", "size", "mtime_ns", "digest", "width", "height")
_TABLE = (
    "CREATE TABLE entries (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, "
    "mtime_ns INTEGER NOT NULL, digest TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL{more})"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture. ``row`` is that of its feature, ``id`` and ``path`` are both its POSIX path below the folder.

    ``digest`` is the SHA-256 of the file, ``width`` and ``height`` are the file's own, before any EXIF orientation.
    ``metadata`` has every column, None where the picture has no value; `Index.picture` tells where the file is.
    """

    row: int
    id: str
    path: str
    size: int
    mtime_ns: int
    digest: str
    width: int
    height: int
    metadata: dict[str, str | float | None] = field(default_factory=dict)


class Entries:
    """The pictures of one state of an index, in the order of their ids. Any thread may ask."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database, self._lock = database, threading.Lock()
        found = self._ask("SELECT name, kind FROM columns ORDER BY n", ())
        self.columns: dict[str, str] = {name: kind for name, kind in found}
        """Columns of metadata, each with ``number`` or ``text``."""
        self._names = column_names(self.columns)
        self._count = int(self._ask("SELECT count(*) FROM entries", ())[0][0])

    @classmethod
    def open(cls, path: Path) -> Entries:
        """The pictures that `write_entries` left; `DataError` where the file is missing or damaged."""
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        if not path.is_file():
            raise DataError(f"no list of pictures: {path}", "copy the index again, or build it again")
        with _explained(path):
            database = sqlite3.connect(address, uri=True, check_same_thread=False)
            try:
                return cls(path, database)
            except BaseException:
                database.close()
                raise

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        for start in range(0, len(self), ASKED):
            yield from self.get(range(start, min(start + ASKED, len(self))))

    def get(self, rows: Sequence[int]) -> list[Entry]:
        """The pictures of some rows, in the order asked; `IndexError` for a row that is not there."""
        known: dict[int, Entry] = {}
        for start in range(0, len(rows), ASKED):
            part = [int(row) for row in rows[start : start + ASKED]]
            condition = f"row IN ({', '.join('?' * len(part))})"
            known.update((entry.row, entry) for entry in self._entries(condition, part))
        missing = [row for row in rows if int(row) not in known]
        if missing:
            raise IndexError(f"there is no row {missing[0]} among {len(self)} pictures")
        return [known[int(row)] for row in rows]

    def find(self, id: str) -> Entry | None:
        """The picture of that id; None where the index has none."""
        if "\0" in id or not _is_text(id):
            return None
        return next(iter(self._entries("id = ?", [id])), None)

    def select(self, conditions: Sequence[Condition]) -> np.ndarray:
        """Which pictures meet all conditions: bool ``(N,)``. `UsageError` for unknown columns and unfit values."""
        sql, values = filters.where(
            conditions, {**dict.fromkeys(filters.BUILT_IN, "text"), **self.columns}, self._names
        )
        chosen = np.zeros(len(self), dtype=bool)
        rows = self._ask(f"SELECT row FROM entries WHERE {sql}", values)
        chosen[np.fromiter((row[0] for row in rows), np.int64, len(rows))] = True
        return chosen

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def _entries(self, condition: str, values: Sequence[object]) -> list[Entry]:
        wanted = ", ".join([*_FIELDS, *(self._names[name] for name in self.columns)])
        found = self._ask(f"SELECT {wanted} FROM entries WHERE {condition}", values)
        return [self._entry(values) for values in found]

    def _entry(self, values: Sequence[Any]) -> Entry:
        row, id, size, mtime_ns, digest, width, height, *more = values
        metadata = dict(zip(self.columns, more, strict=True))
        return Entry(row, id, id, size, mtime_ns, digest, width, height, metadata)

    def _ask(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._lock, _explained(self.path):
            return self._database.execute(sql, values).fetchall()


def write_entries(path: Path, entries: Iterable[Entry], columns: Mapping[str, str]) -> None:
    """Write pictures, in the order of their rows, to a new file: the same pictures give the same bytes."""
    names = column_names(columns)
    more = "".join(f", {names[name]} {'REAL' if kind == 'number' else 'TEXT'}" for name, kind in columns.items())
    holes = ", ".join("?" * (len(_FIELDS) + len(columns)))
    with _explained(path), closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=OFF")
        database.execute(_TABLE.format(more=more))
        database.execute("CREATE TABLE columns (n INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL)")
        rows = enumerate(columns.items())
        database.executemany("INSERT INTO columns VALUES (?, ?, ?)", ((n, *column) for n, column in rows))
        database.executemany(f"INSERT INTO entries VALUES ({holes})", (_values(entry, columns) for entry in entries))
        database.commit()


def column_names(columns: Iterable[str]) -> dict[str, str]:
    """What the database calls each column: nothing that people write becomes part of a statement."""
    return {**dict.fromkeys(filters.BUILT_IN, "id"), **{name: f"m{n}" for n, name in enumerate(columns)}}


def _values(entry: Entry, columns: Iterable[str]) -> list[object]:
    return [*(getattr(entry, name) for name in _FIELDS), *(entry.metadata.get(name) for name in columns)]


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise MotaError(f"{path}: {error}", "is there space left, and may it be read?") from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path} is damaged: {error}", "copy the index again, or build it again") from error
