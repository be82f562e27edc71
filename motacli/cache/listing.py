"""The rows of a source, each picture once, in a file of their own: a source of any size takes no more memory.

The file is made anew whenever a build starts; a kill may leave it behind, never rely on it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from motacli.contracts import ImageRef, ImageText
from motacli.datasets import picture_exists
from motacli.errors import DataError, MotaError
from motacli.hdf5 import text_digest
from motacli.remote.urls import is_remote

_TABLE = "CREATE TABLE rows (n INTEGER PRIMARY KEY, id TEXT UNIQUE, path BLOB, box TEXT, member TEXT, caption TEXT)"
_ROW = "SELECT id, path, box, member, caption FROM rows"


class Listing:
    """Pictures in order of appearance, each with its first caption; ``more_captions`` counts the others.

    ``start`` and ``stop`` restrict it to some of its rows, which go on to be counted from ``start``.
    """

    def __init__(self, database: sqlite3.Connection, more_captions: int) -> None:
        self._database = database
        self.more_captions = more_captions
        self.total = int(database.execute("SELECT count(*) FROM rows").fetchone()[0])
        self.start, self.stop = 0, self.total
        asked = "SELECT count(*) FROM rows WHERE caption IS NOT NULL"
        self.has_captions = bool(database.execute(asked).fetchone()[0])

    def __len__(self) -> int:
        return self.stop - self.start

    def refs(self, start: int, stop: int) -> Iterator[tuple[ImageRef, str | None]]:
        """The pictures of some rows, with their captions."""
        for row in self._database.execute(f"{_ROW} WHERE n >= ? AND n < ? ORDER BY n", (start, stop)):
            yield _ref(row), row[4]

    def digest(self) -> str:
        """SHA-256 of ids and captions, of all rows or those it is restricted to."""
        names = ("id", "caption") if self.has_captions else ("id",)
        return str(text_digest(*(self._column(name) for name in names)).hexdigest())

    def numbers(self, ids: Iterable[str]) -> Iterator[int]:
        """Which rows some ids have; those that have none are left out."""
        for id in ids:
            for row in self._database.execute("SELECT n FROM rows WHERE id = ?", (id,)):
                yield row[0]

    def known(self, ids: Iterable[str]) -> int:
        """How many of these distinct ids are among the rows."""
        return sum(1 for _ in self.numbers(ids))

    def require_pictures(self) -> None:
        """Look for the files: hours of encoding are a bad moment to learn that one is missing."""
        missing, first = 0, None
        for ref, _ in self.refs(self.start, self.stop):
            if not is_remote(ref.path) and not picture_exists(ref):  # a request for each would take hours too
                missing, first = missing + 1, first or ref
        if first is not None:
            raise DataError(
                f"{missing} of {len(self)} pictures are missing, the first is {first.path}",
                f"it belongs to image id {first.id!r}",
            )

    def _column(self, name: str) -> Iterator[str]:
        query = f"SELECT {name} FROM rows WHERE n >= ? AND n < ? ORDER BY n"
        return (row[0] for row in self._database.execute(query, (self.start, self.stop)))


@contextmanager
def listed(path: Path, items: Iterable[ImageRef | ImageText], but: Iterable[str] = ()) -> Iterator[Listing]:
    """The rows of a source but those of some ids, listed in the file ``path``, which is gone in the end.

    Raises `DataError` for an id that stands for two pictures and for text that HDF5 cannot hold.
    """
    path.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=OFF")
            database.execute("PRAGMA synchronous=OFF")
            database.execute(_TABLE)
            path.chmod(0o600)  # a URL in it may be signed
            database.execute("CREATE TABLE but (id TEXT PRIMARY KEY) WITHOUT ROWID")
            database.executemany("INSERT OR IGNORE INTO but VALUES (?)", ((id,) for id in but))
            yield Listing(database, _fill(database, items))
    except sqlite3.OperationalError as error:
        raise MotaError(f"cannot list the pictures in {path}: {error}", "is there space left?") from error
    finally:
        path.unlink(missing_ok=True)


def _fill(database: sqlite3.Connection, items: Iterable[ImageRef | ImageText]) -> int:
    """Insert the rows; gives the number of further captions."""
    insert = "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)"
    count = more = 0
    for item in items:
        ref, caption = (item.image, _storable(item.caption)) if isinstance(item, ImageText) else (item, None)
        if database.execute("SELECT 1 FROM but WHERE id = ?", (_storable(ref.id),)).fetchone():
            continue
        box = None if ref.box is None else json.dumps(ref.box)
        if database.execute(insert, (count, ref.id, os.fsencode(ref.path), box, ref.member, caption)).rowcount:
            count += 1
        else:
            more += _more_captions(database, ref, caption)
    return more


def _more_captions(database: sqlite3.Connection, ref: ImageRef, caption: str | None) -> int:
    row = database.execute(f"{_ROW} WHERE id = ?", (ref.id,)).fetchone()
    known = _ref(row)
    if known.place != ref.place:
        raise DataError(
            f"image id {ref.id!r} stands for two pictures: {known.place} and {ref.place}",
            "give every picture an id of its own",
        )
    return int(caption is not None and caption != row[4])


def _ref(row: tuple[str, bytes, str | None, str, str | None]) -> ImageRef:
    id, path, box, member, _ = row
    return ImageRef(id, Path(os.fsdecode(path)), None if box is None else tuple(json.loads(box)), member)


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{text!r} is not valid text", "it holds half of a surrogate pair") from None
    if "\0" in text:
        raise DataError(f"{text!r} holds a NUL character", "take it out")
    return text
