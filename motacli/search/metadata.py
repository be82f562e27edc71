"""What people know about their pictures: a CSV file with one row per picture."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TextIO

from motacli.errors import DataError
from motacli.runs import explained
from motacli.search.filters import BUILT_IN

KEYS = ("path", "id", "image", "file", "filename")
"""Names of the column that says which picture a row is about; the first that is there is taken."""

Value = str | float | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """Columns, each with its type ``number`` or ``text``, and their values by picture."""

    columns: dict[str, str] = field(default_factory=dict)
    rows: dict[str, dict[str, Value]] = field(default_factory=dict)

    def of(self, id: str) -> dict[str, Value]:
        """The values of a picture: None in every column where there is no row about it."""
        return {name: None for name in self.columns} | self.rows.get(id, {})


def read_metadata(path: Path, folder: Path) -> Metadata:
    """A CSV file (``.tsv``: tabs) about pictures below ``folder``, with a header line.

    A column of finite numbers alone is one of numbers; empty cells are no values. Raises `DataError`, naming the line,
    for rows that do not fit the header, for a picture that has two of them, and for a file without a column of `KEYS`.
    """
    try:
        with explained(path), path.open(encoding="utf-8-sig", newline="") as file:
            header, rows = _table(path, file)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text") from error
    key = next((name for name in KEYS if name in header), None)
    if key is None:
        raise DataError(f"{path} does not say which picture a row is about", f"name a column one of {', '.join(KEYS)}")
    names = [name for name in header if name != key]
    _refuse_names(path, names)
    texts: dict[str, dict[str, str]] = {}
    for line, row in rows:
        id = _id(row[key], folder)
        if id in texts:
            raise DataError(f"{path}, line {line}: a second row about {id!r}", "give every picture one row")
        texts[id] = {name: row[name].strip() for name in names}
    columns = {name: _kind([row[name] for row in texts.values()]) for name in names}
    values = {id: {name: _value(row[name], columns[name]) for name in names} for id, row in texts.items()}
    return Metadata(columns, values)


def _table(path: Path, file: TextIO) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    reader = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        header = [name.strip() for name in next(reader, [])]
        return header, list(_rows(path, header, reader))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def _rows(path: Path, header: list[str], reader: Iterator[list[str]]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, row in enumerate(reader, start=2):
        if row and len(row) != len(header):
            raise DataError(f"{path}, line {number}: {len(row)} cells, and the header has {len(header)}")
        if row:
            yield number, dict(zip(header, row, strict=True))


def _refuse_names(path: Path, names: list[str]) -> None:
    for name in names:
        if not name or names.count(name) > 1 or name in BUILT_IN or set(name) & set("<>=!~"):
            raise DataError(
                f"{path}: {name!r} is no name for a column",
                f"every column has one of its own, without <>=!~, and not {' or '.join(BUILT_IN)}",
            )


def _id(text: str, folder: Path) -> str:
    place = PurePosixPath(text.strip())
    root = PurePosixPath(os.path.abspath(folder))
    return str(place.relative_to(root) if place.is_relative_to(root) else place)


def _kind(texts: list[str]) -> str:
    given = [text for text in texts if text]
    return "number" if given and all(_number(text) is not None for text in given) else "text"


def _value(text: str, kind: str) -> Value:
    return None if not text else _number(text) if kind == "number" else text


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
