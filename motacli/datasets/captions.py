"""Captions alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from motacli.datasets.columns import Columns, caption_column
from motacli.datasets.formats import FORMATS
from motacli.datasets.places import is_file, open_text
from motacli.datasets.tables import JsonlSource, TableSource, json_rows, table_rows, text_lines
from motacli.errors import DataError
from motacli.remote.urls import shown, suffix_of

_EXPECTED = "a text file with one per line, or any file that image-text data comes in"


def read_captions(path: Path, column: str | None = None) -> list[str]:
    """The captions in a text file, one per line, or in a column of a table; blank ones are left out.

    CSV, TSV and JSONL files need no images; of any other kind of image-text file the rows' captions are taken. Raises
    `DataError` for a file that is missing, of another kind, or without captions.
    """
    if not is_file(path):
        raise DataError(f"no such file of captions: {shown(path)}", _EXPECTED)
    captions = [caption.strip() for caption in _captions(path, column) if caption.strip()]
    if not captions:
        raise DataError(f"{shown(path)} holds no caption", _EXPECTED)
    return captions


def _captions(path: Path, column: str | None) -> Iterator[str]:
    kind = FORMATS.get(suffix_of(path))
    if kind is None:
        with open_text(path) as file:
            yield from text_lines(file, path)
    elif kind.rows is TableSource:
        rows = table_rows(path)
        where, header = next(rows)
        place = header.index(caption_column(column, header, where))
        yield from (row[place] for _, row in rows)
    elif kind.rows is JsonlSource:
        for where, record in json_rows(path):
            column = column or caption_column(None, list(record), where)
            if not isinstance(record.get(column), str):
                raise DataError(f"{where}: no text in {column!r}")
            yield record[column]
    else:
        yield from (row.caption for row in kind.rows(path, Columns(caption=column, id="")))
