"""Pictures of the index as files to send: what they are is found in their bytes, never in their names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from motacli.serve.problems import Refused

CHUNK = 1 << 18
LARGEST = 500 * 10**6
_KINDS = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
)
"""Where in a file which bytes are, for pictures that every browser shows."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """An open file. ``kind`` is its content type; None for pictures that browsers do not show."""

    file: IO[bytes]
    size: int
    kind: str | None
    tag: str

    def chunks(self) -> Iterator[bytes]:
        """Its bytes, at most as many as it had when it was opened; it is closed behind them."""
        with self.file as file:
            left = self.size
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk

    def read(self) -> bytes:
        """All of its bytes."""
        return b"".join(self.chunks())


def open_picture(path: Path) -> PictureFile:
    """Open a file that `Index.picture` named; `Refused` where it is not there, no plain file, or a link by now."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError:
        raise _gone() from None
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        file.close()
        raise _gone()
    head = file.read(16)
    file.seek(0)
    return PictureFile(file, found.st_size, content_type(head), f'"{found.st_size:x}-{found.st_mtime_ns:x}"')


def content_type(head: bytes) -> str | None:
    """The content type of a file that begins so; None where it is not among those that browsers show."""
    return next((kind for at, mark, kind in _KINDS if head[at : at + len(mark)] == mark), None)


def _gone() -> Refused:
    return Refused(404, "that picture cannot be shown: it is not there any more", "update the index")
