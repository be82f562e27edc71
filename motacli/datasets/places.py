"""Files of data wherever they are: on this machine by `pathlib` as ever, at URLs by `motacli.remote`."""

from __future__ import annotations

import io
from collections.abc import Hashable
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, TextIO

from motacli.errors import DataError
from motacli.remote.urls import is_remote, shown

SEQUENTIAL = 1 << 20
"""Bytes of the first request for a remote file that is read from one end to the other."""


def is_file(path: Path) -> bool:
    """Whether there is such a file. Remotely that takes a request; `DataError` where it is not answered."""
    if is_remote(path):
        from motacli.remote import files

        return files.is_file(path)
    return path.is_file()


def is_folder(path: Path) -> bool:
    """Whether there is such a folder."""
    if is_remote(path):
        from motacli.remote import files

        return files.is_folder(path)
    return path.is_dir()


def exists(path: Path) -> bool:
    """Whether there is such a file or folder."""
    if is_remote(path):
        return is_file(path) or is_folder(path)
    return path.exists()


def open_raw(path: Path) -> RawIOBase:
    """A remote file for those who have buffers of their own; `DataError` where it is missing."""
    from motacli.remote.files import RemoteFile

    return RemoteFile(path, SEQUENTIAL)


def open_binary(path: Path) -> BinaryIO:
    """A file to read from one end to the other, with jumps; `DataError` where a remote one is missing."""
    return io.BufferedReader(open_raw(path), SEQUENTIAL) if is_remote(path) else path.open("rb")


def open_text(path: Path, newline: str | None = None) -> TextIO:
    """A text file in UTF-8, with or without a mark in front."""
    if is_remote(path):
        return io.TextIOWrapper(open_binary(path), "utf-8-sig", newline=newline)
    return path.open(encoding="utf-8-sig", newline=newline)


def read_text(path: Path) -> str:
    """All of a small text file in UTF-8; `FileNotFoundError` where there is none."""
    if not is_remote(path):
        return path.read_text("utf-8-sig")
    try:
        return read_bytes(path).decode("utf-8-sig")
    except DataError as error:
        if error.message.startswith("no such file"):
            raise FileNotFoundError(shown(path)) from error
        raise


def read_bytes(path: Path) -> bytes:
    """All of a file, of a remote one by one request."""
    if is_remote(path):
        from motacli.remote import files

        return files.whole(path)
    return path.read_bytes()


def version(path: Path) -> Hashable:
    """A file as it is now, or was a minute ago: equal ones mean equal contents. `DataError` where it is gone."""
    if is_remote(path):
        from motacli.remote.files import opened

        return opened(path).version
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"no such file: {path}", "it held pictures when the data was read") from None
    return path, status.st_mtime_ns, status.st_size
