"""Remote files: whole, by ranges, as file objects, and what is in a folder.

Local files never come here: see `motacli.datasets.places`.
"""

from __future__ import annotations

import io
import os
import time
from collections import OrderedDict
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import unquote

from motacli.errors import DataError
from motacli.remote.asking import asked, is_missing
from motacli.remote.filesystems import file_system
from motacli.remote.ranges import LEAST, Ranges
from motacli.remote.urls import is_web, shown, url_of

FILES = 4
"""Files of which pieces are kept."""
FRESH = 60.0
"""Seconds after which a file is looked at again: has it changed?"""

_VERSIONS = ("etag", "md5hash", "content-md5", "generation", "checksum", "last-modified", "lastmodified", "mtime")


class Version(NamedTuple):
    """A file as it is now. Equal ones mean equal contents, as far as its server tells."""

    path: Path
    size: int
    mark: str


class Entry(NamedTuple):
    """What a folder holds."""

    name: str
    is_folder: bool


def version(path: Path) -> Version:
    """A file as it is now; `DataError` where there is none."""
    system, name = file_system(path)
    found = asked(path, partial(system.info, name))
    if found.get("type") == "directory":
        raise DataError(f"no such file: {shown(path)}", "it is a folder")
    size = found.get("size")
    if size is None:
        raise DataError(f"{shown(path)}: its server does not say how large it is", "download it first")
    marks = {str(key).lower(): value for key, value in found.items()}
    created = marks.get("created")
    return Version(
        path, int(size), " ".join(str(marks[key]) for key in _VERSIONS if key in marks) or str(created or "")
    )


def is_file(path: Path) -> bool:
    """Whether there is such a file; `DataError` where that cannot be found out."""
    system, name = file_system(path)
    try:
        return asked(path, partial(system.info, name)).get("type") != "directory"
    except DataError as error:
        if is_missing(error):
            return False
        raise


def is_folder(path: Path) -> bool:
    """Whether files have names that begin with this one and a slash."""
    try:
        return bool(entries(path))
    except DataError as error:
        if is_missing(error):
            return False
        raise


def entries(folder: Path) -> list[Entry]:
    """What is in a folder, by name."""
    system, name = file_system(folder)
    listed = asked(folder, partial(system.ls, name, detail=True))
    begin = f"{name.rstrip('/')}/"
    found = {}
    for one in listed:
        below = str(one["name"])
        inside = below[len(begin) :] if below.startswith(begin) else ""
        text = inside.rstrip("/")
        if text and "/" not in text and not (is_web(folder) and text.startswith(("?", "#"))):
            text = unquote(text) if is_web(folder) else text
            found[text] = Entry(text, one["type"] == "directory" or inside.endswith("/"))
    return [found[text] for text in sorted(found)]


def matches(path: Path) -> list[str]:
    """The URLs of files and folders that a pattern matches, in alphabetical order."""
    system, name = file_system(path)
    begin = url_of(path).removesuffix(name)  # which names lack: the scheme, and of HDFS the host
    return sorted(f"{begin}{one}" for one in asked(path, partial(system.glob, name)))


def whole(path: Path) -> bytes:
    """A file, by one request."""
    system, name = file_system(path)
    content: bytes = asked(path, partial(system.cat_file, name))
    return content


class Opened(NamedTuple):
    """A file that pieces are read of, and when it was last looked at."""

    version: Version
    ranges: Ranges
    looked: float


def opened(path: Path, fresh: bool = False) -> Opened:
    """A file to read pieces of; ``fresh`` asks whether it has changed, as is done every minute anyway."""
    with _kept.lock:
        known = _kept.files.get(path)
    if known is not None and not fresh and time.monotonic() - known.looked < FRESH:
        return known
    now = version(path)
    same = known is not None and known.version == now
    ranges = known.ranges if known is not None and same else Ranges(partial(_fetch, path, now.size), now.size)
    found = Opened(now, ranges, time.monotonic())
    with _kept.lock:
        _kept.files[path] = found
        _kept.files.move_to_end(path)
        while len(_kept.files) > FILES:
            _kept.files.popitem(last=False)
    return found


class RemoteFile(io.RawIOBase):
    """A remote file as a file object, read by ranges of at least ``least`` bytes."""

    def __init__(self, path: Path, least: int = LEAST) -> None:
        super().__init__()
        self._ranges = opened(path, fresh=True).ranges
        self._least = least
        self._at = 0

    def read(self, size: int | None = -1) -> bytes:
        """See `io.RawIOBase`; gives less than ``size`` at the end only."""
        stop = self._ranges.size if size is None or size < 0 else self._at + size
        content = self._ranges.read(self._at, stop, self._least)
        self._at += len(content)
        return content

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.IOBase`."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ranges.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True


class _Kept:
    """The files of this process; a forked one begins with none, as pieces may be on their way to the other."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.lock = Lock()
        self.files: OrderedDict[Path, Opened] = OrderedDict()


_kept = _Kept()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.forget)


def _fetch(path: Path, size: int, start: int, stop: int) -> bytes:
    return asked(path, partial(_range, path, size, start, stop))


def _range(path: Path, size: int, start: int, stop: int) -> bytes:
    system, name = file_system(path)
    if is_web(path):
        headers = {**getattr(system, "kwargs", {}).get("headers", {}), "Accept-Encoding": "identity"}
        # `cat_file` would take in all of a file whose server does not know ranges.
        with system.open(name, size=size, block_size=LEAST, cache_type="none", headers=headers) as file:
            file.seek(start)
            content: bytes = file.read(stop - start)
    else:
        content = system.cat_file(name, start=start, end=stop)
    if len(content) != stop - start:
        raise EOFError(f"{len(content)} bytes where {stop - start} were asked for")
    return content
