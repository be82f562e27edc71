"""Arrow files as Hugging Face's ``save_to_disk`` writes them, and what they share with Parquet: columns of pictures.

A row's place is the file and its number, from 0. Pictures that a file holds stay in it: `ImageRef.member` is
``column/number``, and the picture's id ``file/number`` with the file's name without ending. Of a remote Arrow file the
member says besides where its batch of rows is, and which one of them it is: ``column/number@1024+7``.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from motacli.contracts import ImageRef, ImageText
from motacli.datasets.columns import USUAL, Columns, Found, image_at, image_text
from motacli.datasets.places import open_raw, version
from motacli.errors import DataError
from motacli.extras import needed
from motacli.remote.urls import folder_of, is_remote, shown, stem_of

EXTRA = "parquet"
_TEXT = ("string", "large_string", "string_view")
_BYTES = ("binary", "large_binary", "binary_view")


@dataclass(frozen=True, slots=True)
class ArrowSource:
    """The rows of one ``.arrow`` file in Arrow's stream format, mapped into memory and not read before its turn."""

    path: Path
    columns: Columns = USUAL

    def __post_init__(self) -> None:
        needed("pyarrow", EXTRA, shown(self.path))

    def __len__(self) -> int:
        with explained(self.path):
            return sum(batch.num_rows for batch in _stream(self.path)[0])

    def __iter__(self) -> Iterator[ImageText]:
        start = 0
        with explained(self.path):
            batches, file = _stream(self.path)
            names = self.columns.found_in(batches.schema.names, shown(self.path))
            place = file.tell() if is_remote(self.path) else None
            for batch in batches:
                yield from rows(self.path, names, batch, start, place=place)
                start += batch.num_rows
                place = place if place is None else file.tell()


def rows(
    path: Path, names: Found, batch: Any, start: int, embedded: bool = False, place: int | None = None
) -> Iterator[ImageText]:
    """The rows of a record batch whose first one is row ``start`` of the file at ``path``.

    ``embedded`` says that every picture is in the file, and then the batch can do without their column. ``place`` is
    where in the file the batch is, if that is to be said.
    """
    file, folder, stem = shown(path), folder_of(path), stem_of(path)
    captions = batch.column(names.caption).to_pylist()
    own = [batch.column(names.id).to_pylist()] if names.id else []
    pictures = [True] * batch.num_rows if embedded else pictures_of(batch.column(names.image), names.image, path)
    for number, picture in enumerate(pictures):
        where = f"{file}: row {start + number}"
        if picture is True:
            inside = "" if place is None else f"@{place}+{number}"
            image = ImageRef(f"{stem}/{start + number}", path, member=f"{names.image}/{start + number}{inside}")
        else:
            image = image_at(folder, picture, where)
        yield image_text(image, captions[number], where, *(column[number] for column in own))


def pictures_of(cells: Any, name: str, path: Path) -> list[object]:
    """For each cell of an image column the path it names, or True where it holds the picture itself."""
    kind = storage(cells.type, name, path)
    if kind == "text":
        return list(cells.to_pylist())
    if kind == "bytes":
        return [valid or None for valid in cells.is_valid().to_pylist()]
    held = cells.field("bytes").is_valid().to_pylist()
    named = cells.field("path").to_pylist() if cells.type.get_field_index("path") >= 0 else [None] * len(held)
    whole = cells.is_valid().to_pylist()
    return [(held[i] or named[i]) if whole[i] else None for i in range(len(held))]


def storage(kind: Any, name: str, path: Path) -> str:
    """How a column of this Arrow type holds pictures: as ``text``, ``bytes``, or a ``struct`` of Hugging Face's."""
    types = needed("pyarrow", EXTRA, shown(path)).types
    if str(kind.value_type if types.is_dictionary(kind) else kind) in _TEXT:
        return "text"
    if str(kind) in _BYTES:
        return "bytes"
    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return "struct"
    raise DataError(f"{shown(path)}: column {name!r} holds {kind}", "it should hold paths or the bytes of pictures")


def read_picture(path: Path, member: str) -> bytes:
    """The bytes of the picture at ``column/number``; `DataError` where the file lacks it or is broken."""
    if is_remote(path):
        return _read_remote(path, member)
    name, number = place_of(path, member)
    table = _table(path, version(path))
    if name not in table.column_names or number >= table.num_rows:
        raise missing(path, member)
    with explained(path):
        return picture_bytes(table.column(name)[number].as_py(), path, member)


def place_of(path: Path, member: str) -> tuple[str, int]:
    """The column and the row that a member names."""
    name, _, number = member.rpartition("/")
    if not name or not number.isdecimal():
        raise missing(path, member)
    return name, int(number)


def picture_bytes(cell: object, path: Path, member: str) -> bytes:
    """The bytes in a cell of an image column."""
    found = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(found, bytes):
        raise missing(path, member)
    return found


def missing(path: Path, member: str) -> DataError:
    """The error about a picture that is not there."""
    return DataError(f"{shown(path)} has no picture {member!r}", "has the file changed since the data was read?")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn pyarrow's errors about a broken file into ours."""
    pyarrow = needed("pyarrow", EXTRA, shown(path))
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"no such file: {shown(path)}") from None
    except (pyarrow.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        reason = "it is empty" if path.is_file() and not path.stat().st_size else " ".join(str(error).split())
        raise DataError(f"{shown(path)} cannot be read: {reason}", "download or write it again") from error


def arrow_file(path: Path) -> Any:
    """A file as pyarrow takes it: a local one mapped into memory."""
    pyarrow = needed("pyarrow", EXTRA, shown(path))
    return pyarrow.PythonFile(open_raw(path), "r") if is_remote(path) else pyarrow.memory_map(str(path))


def _stream(path: Path) -> tuple[Any, Any]:
    """The batches of a file, and the file."""
    file = arrow_file(path)
    return needed("pyarrow", EXTRA, shown(path)).ipc.open_stream(file), file


@lru_cache(maxsize=16)
def _table(path: Path, version: Hashable) -> Any:
    """The whole file, of which only what is touched comes into memory."""
    with explained(path):
        return _stream(path)[0].read_all()


def _read_remote(path: Path, member: str) -> bytes:
    """A picture by the place of its batch, which stays in memory for the next one."""
    cell, _, place = member.rpartition("@")
    offset, _, row = place.partition("+")
    name, _ = place_of(path, cell)
    if not (offset.isdecimal() and row.isdecimal()):
        raise missing(path, member)
    with explained(path):
        with _batches.lock:  # or threads would all fetch the same one
            batch = _batch(path, version(path), int(offset))
        if name not in batch.schema.names or int(row) >= batch.num_rows:
            raise missing(path, member)
        return picture_bytes(batch.column(name)[int(row)].as_py(), path, member)


class _Batches:
    """Who may fetch a batch; a forked process does not wait for a thread that it does not have."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.lock = Lock()


_batches = _Batches()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_batches.renew)


@lru_cache(maxsize=4)
def _batch(path: Path, version: Hashable, offset: int) -> Any:
    batches, file = _stream(path)
    file.seek(offset)
    return batches.read_next_batch()
