"""Pieces of a remote file, by few requests: neighbours that are read in order share them, whoever reads.

The first request takes little more than was asked for. One that goes on where the last ended takes twice as much, up
to `MOST`, and from then on the next piece is on its way while this one is used. So what is picked out here and there
costs its own bytes, and a file that is read in order costs one request for each `MOST`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread

LEAST = 1 << 16
MOST = 1 << 22
"""Bytes of a request, unless more is asked for at once."""
KEPT = 6
"""Pieces of a file that are kept."""
AHEAD = 4 * LEAST
"""From pieces of this size on, the next is asked for ahead of its time."""

Fetch = Callable[[int, int], bytes]
"""The bytes from one place to another, all of them."""


class _Piece:
    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self.content: Future[bytes] = Future()

    @property
    def failed(self) -> bool:
        return self.content.done() and self.content.exception() is not None

    def fetch(self, fetch: Fetch) -> None:
        try:
            self.content.set_result(fetch(self.start, self.stop))
        except BaseException as error:
            self.content.set_exception(error)


class Ranges:
    """A file of ``size`` bytes, of which pieces are fetched as they are needed. Threads may share it."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.size = size
        self._fetch = fetch
        self._lock = Lock()
        self._pieces: list[_Piece] = []  # the last used comes last

    def read(self, start: int, stop: int, least: int = LEAST) -> bytes:
        """The bytes from ``start`` to ``stop``, or to the file's end; a request takes ``least`` bytes at least."""
        stop = min(stop, self.size)
        found = []
        while start < stop:
            piece = self._piece(start, stop, least)
            content = piece.content.result()
            found.append(content[start - piece.start : stop - piece.start])
            start = min(stop, piece.stop)
        return found[0] if len(found) == 1 else b"".join(found)

    def _piece(self, start: int, stop: int, least: int) -> _Piece:
        """The piece that holds ``start``, fetched by whoever asks first."""
        with self._lock:
            piece = next((one for one in reversed(self._pieces) if one.start <= start < one.stop), None)
            made = piece is None or piece.failed  # as one that was asked for ahead may have done long ago
            if piece is None or made:
                self._pieces = [one for one in self._pieces if not one.failed]
                piece = self._new(start, max(least, self._doubled(start), stop - start))
            following = self._following(piece, start)
            self._keep(*(one for one in (piece, following) if one is not None and one.stop - one.start <= MOST))
        if following is not None:
            Thread(target=following.fetch, args=(self._fetch,), daemon=True, name="read-ahead").start()
        if made:
            piece.fetch(self._fetch)
        return piece

    def _doubled(self, start: int) -> int:
        """What a request takes that goes on where another ended, or skips less than that one took."""
        sizes = [one.stop - one.start for one in self._pieces if 0 <= start - one.stop <= one.stop - one.start]
        return min(MOST, 2 * max(sizes, default=0))

    def _following(self, piece: _Piece, start: int) -> _Piece | None:
        size = piece.stop - piece.start
        if size < AHEAD or start - piece.start < size // 2 or piece.stop >= self.size:
            return None
        if any(one.start <= piece.stop < one.stop for one in self._pieces):
            return None
        return self._new(piece.stop, min(MOST, 2 * size))

    def _new(self, start: int, size: int) -> _Piece:
        """A piece of at most ``size`` bytes, which ends where the next one begins."""
        begins = [one.start for one in self._pieces if one.start > start]
        return _Piece(start, min(start + size, self.size, *begins))

    def _keep(self, *pieces: _Piece) -> None:
        for piece in pieces:
            self._pieces = [*(one for one in self._pieces if one is not piece), piece][-KEPT:]
