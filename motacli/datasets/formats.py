"""The file formats of image-text data: a new one is a row in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from motacli.contracts import ImageText
from motacli.datasets import arrow, parquet, shards
from motacli.datasets.columns import Columns
from motacli.datasets.json_array import JsonArraySource
from motacli.datasets.tables import JsonlSource, TableSource


@dataclass(frozen=True, slots=True)
class Format:
    """``rows`` makes a source of a file. ``picture`` reads one that is kept inside of it, by `ImageRef.member`."""

    rows: Callable[[Path, Columns], Iterable[ImageText]]
    picture: Callable[[Path, str], bytes] | None = None


FORMATS = {
    ".csv": Format(TableSource),
    ".tsv": Format(TableSource),
    ".jsonl": Format(JsonlSource),
    ".ndjson": Format(JsonlSource),
    ".json": Format(JsonArraySource),
    ".parquet": Format(parquet.ParquetSource, parquet.read_picture),
    ".arrow": Format(arrow.ArrowSource, arrow.read_picture),
    ".tar": Format(shards.ShardSource, shards.read_member),
}
"""File ending, in lower case, to format."""
