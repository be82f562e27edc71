"""Files of remote pictures, fetched by this process for those that decode.

Left to themselves, several processes would each fetch what lies between their pictures.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from itertools import chain

from motacli.cache.decoding import Row
from motacli.contracts import ImageRef
from motacli.datasets import image_bytes
from motacli.encoding import ahead
from motacli.errors import DataError
from motacli.remote.urls import is_remote

FETCHERS = 16
"""Threads that fetch: pictures with a URL each take a request each."""

Fetched = tuple[ImageRef, str | None, bytes | DataError | None]
"""A row with its picture's file or why there is none, and nothing where the picture is on this machine."""


def fetched(rows: Iterable[Row], most: int) -> Generator[Fetched, None, None]:
    """The rows in their order, so many ahead at most; threads fetch where the first picture is remote."""
    rows = iter(rows)
    first = list(next(([row] for row in rows), []))
    workers = FETCHERS if any(is_remote(ref.path) for ref, _ in first) else 0
    with closing(ahead(_fetch, chain(first, rows), workers, most)) as found:
        yield from found


def _fetch(row: Row) -> Fetched:
    ref, caption = row
    if not is_remote(ref.path):
        return ref, caption, None
    try:
        return ref, caption, image_bytes(ref)
    except DataError as error:
        return ref, caption, error
