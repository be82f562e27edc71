"""A benchmark of one's own: ``<split>.csv`` with the columns reference, caption and target, and a folder ``images/``.

Cells name pictures by their path below ``images/``. Every picture there is in the gallery, a query's reference is taken
out of its own ranking, and R@1, R@5, R@10 and R@50 are counted; further columns of the file are for its author.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motacli import DataError, EvalUnit, ImageRef, Query
from motacli.benchmarks.protocol import ProtocolFiles, find_choice
from motacli.errors import did_you_mean

COLUMNS = ("reference", "caption", "target")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class CsvBenchmark(ProtocolFiles):
    """One unit, ``csv_<split>``; a query's id is the line of the file it is on."""

    name = "csv"
    headline = "R@10"
    images_hint = "the pictures go to images/ beside the CSV file"
    splits: tuple[str, ...] = ("test", "val")
    parts: tuple[str, ...] = ()

    def load(self, root: Path, split: str | None = None, parts: Sequence[str] = ()) -> list[EvalUnit]:
        """Read ``<split>.csv`` and list ``images/`` below ``root``; `DataError` names file, line and column."""
        chosen = find_choice("csv split", split or self.splits[0], self.splits)
        if parts:
            find_choice("csv part", parts[0], self.parts)
        images = list_images(root / "images")
        queries = tuple(row.query(images) for row in unique_rows(root / f"{chosen}.csv"))
        unit = EvalUnit(
            name=f"csv_{chosen}",
            benchmark=self.name,
            split=chosen,
            queries=queries,
            gallery=tuple(images),
            images=images,
            metrics=("R@1", "R@5", "R@10", "R@50"),
            exclude_reference=True,
        )
        return [self.protocol().apply(unit)]

    def averages(self, units: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """None: there is one unit."""
        return {}


def list_images(folder: Path) -> dict[str, ImageRef]:
    """Every picture below ``folder`` by its path from there, in the order of the paths."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"no pictures below {folder}", f"files ending in {', '.join(SUFFIXES)} count")
    names = (path.relative_to(folder).as_posix() for path in paths)
    return {name: ImageRef(name, path) for name, path in zip(names, paths, strict=True)}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file: its cells by column, and where each column is, counted from 1."""

    path: Path
    line: int
    cells: Mapping[str, str]
    places: Mapping[str, int]

    def error(self, column: str, problem: str, hint: str) -> DataError:
        """The error to raise about a cell."""
        return DataError(f"{self.path}, line {self.line}, column {self.places[column]} ({column}): {problem}", hint)

    def query(self, images: Mapping[str, ImageRef]) -> Query:
        """The query of the line, whose two pictures have to be there."""
        for column in ("reference", "target"):
            if self.cells[column] not in images:
                raise self.error(column, f"no picture {self.cells[column]!r}", did_you_mean(self.cells[column], images))
        if self.cells["reference"] == self.cells["target"]:
            raise self.error("target", "it is the reference, which is never ranked", "name another picture")
        return Query(str(self.line), self.cells["reference"], (self.cells["caption"],), (self.cells["target"],))


def read_rows(path: Path) -> Iterator[Row]:
    """The lines behind the head, blank ones left out, each with all cells filled."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        for name in COLUMNS:
            if head.count(name) != 1:
                how = "is there twice" if name in head else f"is not among {', '.join(map(repr, head)) or 'none'}"
                raise DataError(f"{path}, line 1: column {name!r} {how}", f"the head is {','.join(COLUMNS)}")
        places = {name: head.index(name) + 1 for name in COLUMNS}
        start = reader.line_num + 1
        for cells in reader:
            if any(map(str.strip, cells)):
                yield whole_row(path, start, cells, places, len(head))
            start = reader.line_num + 1  # a quoted cell may hold line breaks: a row starts where the last one ended
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}", "is a quotation mark missing?") from error


def whole_row(path: Path, line: int, cells: Sequence[str], places: Mapping[str, int], width: int) -> Row:
    """The row with these cells; `DataError` for one that is too long, too short or has an empty cell."""
    if len(cells) != width:
        hint = 'put a caption with a comma into "quotation marks"' if len(cells) > width else "fill in what is missing"
        raise DataError(
            f"{path}, line {line}, column {min(len(cells), width) + 1}: {len(cells)} cells, not {width}", hint
        )
    row = Row(path, line, {name: cells[place - 1].strip() for name, place in places.items()}, places)
    for name, cell in row.cells.items():
        if not cell:
            raise row.error(name, "the cell is empty", "fill it in, or delete the line")
    return row


def unique_rows(path: Path) -> list[Row]:
    """All rows of the file, at least one; `DataError` for a query given twice, which would count twice."""
    found: dict[tuple[str, ...], Row] = {}
    for row in read_rows(path):
        first = found.setdefault(tuple(row.cells.values()), row)
        if first is not row:
            raise row.error("reference", f"the same query as on line {first.line}", "delete one of the two")
    if not found:
        raise DataError(f"{path} holds no query", "write one line per query below its head")
    return list(found.values())


def read_text(path: Path) -> str:
    """The file as text, whatever mark a spreadsheet put before it."""
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", f"it holds {','.join(COLUMNS)}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise DataError(f"{path}, line {line}, byte {column}: not UTF-8 text", "save it as CSV in UTF-8") from error
