"""Rows into a collection: in messages of a few megabytes, by one writer or several at once, counted in the end."""

from __future__ import annotations

from contextlib import ExitStack, closing
from queue import SimpleQueue

from mota_milvus.connection import Connection, rows_at_once
from motacli import MotaError
from motacli.console import Progress
from motacli.encoding import ahead
from motacli.search.vectors import Vectors


def fill(connection: Connection, collection: str, vectors: Vectors, writers: int, progress: Progress) -> None:
    """Add all rows, each of ``writers`` threads with a client of its own; `MotaError` where some did not arrive."""
    if writers > 1 and connection.is_lite():
        progress.warn("Milvus Lite has one writer to a collection: the others are left out")
        writers = 1
    size = rows_at_once(vectors.width)
    starts = range(0, len(vectors), size)
    with ExitStack() as stack:
        free: SimpleQueue[Connection] = SimpleQueue()
        for _ in range(min(writers, len(starts))):
            free.put(stack.enter_context(closing(Connection.open(connection.uri))))

        def write(start: int) -> None:
            mine = free.get()
            try:
                mine.insert(collection, start, vectors.units(slice(start, start + size)))
            finally:
                free.put(mine)

        written = stack.enter_context(closing(ahead(write, starts, writers, writers)))
        for _ in progress.track(written, "milvus: rows", len(starts)):
            pass
    connection.flush(collection)
    _require_all(connection, collection, len(vectors))


def _require_all(connection: Connection, collection: str, rows: int) -> None:
    found = connection.count(collection)
    if found != rows:
        raise MotaError(
            f"Milvus at {connection.uri} holds {found} rows after {rows} were written", "build the index again"
        )
