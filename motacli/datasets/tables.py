"""Tables in text files: CSV and TSV with a header line, JSON lines. Image paths are relative to the file's folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from motacli.contracts import ImageText
from motacli.datasets.columns import USUAL, Columns, image_at, image_text
from motacli.datasets.places import open_text
from motacli.errors import DataError
from motacli.remote.urls import folder_of, shown, suffix_of


@dataclass(frozen=True, slots=True)
class TableSource:
    """A CSV or TSV file with a header line."""

    path: Path
    columns: Columns = USUAL

    def __iter__(self) -> Iterator[ImageText]:
        rows = table_rows(self.path)
        where, header = next(rows)
        image, caption, *own = map(header.index, self.columns.names_in(header, where))
        folder = folder_of(self.path)
        for where, row in rows:
            picture = image_at(folder, row[image], where)
            yield image_text(picture, row[caption], where, *(row[place] for place in own))


@dataclass(frozen=True, slots=True)
class JsonlSource:
    """A file with one JSON object per line; blank lines are passed over. The first one says which columns there are."""

    path: Path
    columns: Columns = USUAL

    def __iter__(self) -> Iterator[ImageText]:
        names: list[str] = []
        folder = folder_of(self.path)
        for where, record in json_rows(self.path):
            names = names or self.columns.names_in(list(record), where)
            image, caption, *own = cells(record, names, where)
            yield image_text(image_at(folder, image, where), caption, where, *own)
        if not names:
            raise DataError(f"{shown(self.path)}: empty file", "it should hold one JSON object per line")


def cells(record: dict[str, Any], names: list[str], where: str) -> list[Any]:
    """What ``record`` holds under these names; `DataError` where it lacks one."""
    for name in names:
        if name not in record:
            raise DataError(f"{where}: no {name!r} in this row")
    return [record[name] for name in names]


def table_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The header of a CSV or TSV file, then its rows, which are as long; each with where it stands."""
    name = shown(path)
    with open_text(path, newline="") as file:
        first = _text(file.readline, path, 1)
        # The .csv files of Pic2Word's training data are separated by tabs.
        delimiter = "\t" if suffix_of(path) == ".tsv" or "\t" in first else ","
        file.seek(0)
        # TSV proper knows no quoting: a caption may start with a quotation mark there.
        quoting: Literal[0, 3] = csv.QUOTE_NONE if suffix_of(path) == ".tsv" else csv.QUOTE_MINIMAL
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
        header = _next_row(reader, path)
        if not header:
            raise DataError(f"{name}: empty file", "its first line should name the columns")
        yield f"{name}:1", header
        while (row := _next_row(reader, path)) is not None:
            where = f"{name}:{reader.line_num}"
            if row and len(row) != len(header):
                raise DataError(f"{where}: {len(row)} fields where the header has {len(header)}")
            if row:
                yield where, row


def json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, each with where it stands."""
    name = shown(path)
    with open_text(path) as file:
        for number, line in enumerate(text_lines(file, path), start=1):
            if line.strip():
                where = f"{name}:{number}"
                yield where, _record(line, where)


def text_lines(file: Any, path: Path) -> Iterator[str]:
    """The lines of an open text file; `DataError` where one is not UTF-8."""
    number = 0
    while line := _text(file.readline, path, number + 1):
        number += 1
        yield line


def _next_row(reader: Any, path: Path) -> list[str] | None:
    try:
        row: list[str] | None = _text(lambda: next(reader, None), path, reader.line_num + 1)
    except csv.Error as error:
        raise DataError(f"{shown(path)}:{reader.line_num}: {error}", "is a quotation mark left open?") from error
    return row


def _text(read: Callable[[], Any], path: Path, line: int) -> Any:
    try:
        return read()
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(path)}:{line}: not UTF-8 text here or a little further on") from error


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not valid JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's limits
        raise DataError(f"{where}: not valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object")
    return record
