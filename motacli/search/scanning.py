"""Which pictures there are in a folder, by name, size and time: nothing is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from motacli.datasets.folder import IMAGE_SUFFIXES
from motacli.errors import DataError
from motacli.search.config import BUILDING, CONFIG, STATES


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture file: its POSIX path below the folder, its size in bytes and when it was changed."""

    id: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a picture is not in the index, as it stands in ``errors.jsonl``.

    It is tried again when size, time or contents change; without ``digest`` it could not be read, and is always tried.
    """

    id: str
    reason: str
    size: int = 0
    mtime_ns: int = 0
    digest: str = ""


@dataclass(slots=True)
class Scan:
    """What `scan` found: pictures by id, in its order; ``outside`` counts links that lead out of the folder."""

    pictures: dict[str, Seen] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    outside: int = 0


def scan(folder: Path, but: Path) -> Scan:
    """All pictures below ``folder``, except in the folder ``but`` and in search indexes.

    Links to pictures inside are pictures, links out of the folder are counted and left out, links to folders are not
    followed. Raises `DataError` where there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}", "if it was moved: `mota index INDEX --folder NEW`")
    root, found = folder.resolve(), Scan()
    for file in _files(root, root, but.resolve(), found):
        _take(file, root, found)
    found.pictures = dict(sorted(found.pictures.items()))
    return found


def _files(folder: Path, root: Path, but: Path, found: Scan) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            here = list(entries)
    except OSError as error:
        found.problems.append(Problem(_printable(_id(str(folder), root)), f"folder: {error.strerror}"))
        return
    if _is_index({entry.name for entry in here}):
        return
    for entry in here:
        if entry.is_dir(follow_symlinks=False):
            if folder / entry.name != but:
                yield from _files(folder / entry.name, root, but, found)
        elif entry.is_symlink() and _leads_out(entry, root):
            found.outside += 1
        elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:
            yield entry


def _take(file: os.DirEntry[str], root: Path, found: Scan) -> None:
    id = _id(file.path, root)
    if id != _printable(id):
        found.problems.append(Problem(_printable(id), "its name is not UTF-8"))
        return
    try:
        if file.is_file():
            stat = file.stat()
            found.pictures[id] = Seen(id, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        found.problems.append(Problem(id, str(error.strerror)))


def _is_index(names: set[str]) -> bool:
    return (CONFIG in names and STATES in names) or (BUILDING in names and f"{CONFIG}.lock" in names)


def _leads_out(entry: os.DirEntry[str], root: Path) -> bool:
    """Of pictures and folders: other links do not count. A link in a circle leads nowhere."""
    if not os.path.isdir(entry.path) and os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES:
        return False
    return not Path(os.path.realpath(entry.path)).is_relative_to(root)


def _id(path: str, root: Path) -> str:
    """The POSIX path below the folder; `Path` would take ten times as long."""
    return path[len(str(root)) :].replace(os.sep, "/").strip("/")


def _printable(id: str) -> str:
    return id.encode("utf-8", "backslashreplace").decode()
