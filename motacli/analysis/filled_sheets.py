"""Sheets that annotators filled, read back and checked against each other."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from motacli.analysis.annotation_labels import QUESTIONS, TYPE, allowed, label
from motacli.analysis.annotation_sheet import ids_digest, unguarded
from motacli.errors import DataError, UsageError, did_you_mean, listed

_AGAIN = "annotators fill copies of one sheet, see its .guide.md"


@dataclass(frozen=True, slots=True)
class FilledSheet:
    """An annotator's labels: ``labels[column][id]``, without the cells that were left empty."""

    name: str
    ids: tuple[str, ...]
    labels: Mapping[str, Mapping[str, str]] = field(repr=False)


def read_sheets(paths: Sequence[Path]) -> list[FilledSheet]:
    """The sheets of at least two annotators of the same triplets.

    Raises `UsageError` for fewer than two or one given twice, and `DataError`, naming file and line, for what is no
    sheet: columns that are missing, ids that occur twice or are not those of the first sheet, and labels that are not
    among the allowed. Which modification types those are is known where the record that was written with the sheet lies
    in the same folder as one of them; anything goes otherwise.
    """
    if len(paths) < 2:
        raise UsageError("agreement takes the sheets of at least two annotators", "give two or more CSV files")
    twice = [path for path, n in Counter(path.resolve() for path in paths).items() if n > 1]
    if twice:
        raise UsageError(f"{twice[0]} is given twice", "give each annotator's sheet once")
    read = [_rows(path) for path in paths]
    for path, rows in zip(paths[1:], read[1:], strict=True):
        _require_same_ids(paths[0], read[0], path, rows)
    types = _known_types(paths, read[0])
    names = _names(paths)
    return [_sheet(name, path, rows, types) for name, path, rows in zip(names, paths, read, strict=True)]


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    cells: Mapping[str, str]


def _rows(path: Path) -> dict[str, _Row]:
    """The rows of a sheet by their ids."""
    if not path.is_file():
        raise DataError(f"no such sheet: {path}", "write one with `mota analyze triplets FILE --for-annotation`")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            # Spreadsheets write the list separator of their user's language.
            reader = csv.DictReader(file, delimiter=max(",;\t", key=head.count), strict=True)
            missing = [name for name in ("id", *QUESTIONS) if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path}: no column {listed(missing)}", _AGAIN)
            return _by_id(path, reader)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text", "save it as CSV UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file: {error}", _AGAIN) from error


def _by_id(path: Path, reader: csv.DictReader[str]) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for record in reader:
        cells = {name: record[name] or "" for name in ("id", *QUESTIONS)}
        if not any(cells.values()):
            continue
        row = _Row(f"{path}:{reader.line_num}", cells)
        id = unguarded(cells["id"])
        if id in rows:
            raise DataError(f"{row.where}: the id {id!r} occurs twice", "each triplet has one row")
        rows[id] = row
    if not rows:
        raise DataError(f"{path}: no rows in this sheet", _AGAIN)
    return rows


def _require_same_ids(first: Path, expected: Mapping[str, _Row], path: Path, rows: Mapping[str, _Row]) -> None:
    missing, other = [id for id in expected if id not in rows], [id for id in rows if id not in expected]
    if missing or other:
        said = [f"lacks {listed(missing)}"] * bool(missing) + [f"has {listed(other)} besides"] * bool(other)
        raise DataError(f"{path} is not of the same triplets as {first}: it {' and '.join(said)}", _AGAIN)


def _known_types(paths: Sequence[Path], ids: Mapping[str, _Row]) -> tuple[str, ...]:
    """The modification types of the triplets that the sheet was drawn from; empty where its record is not at hand."""
    digest = ids_digest(ids)
    for folder in dict.fromkeys(path.parent for path in paths):
        for path in sorted(folder.glob("*.meta.json")):
            try:
                record = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError):
                continue  # whatever it is, it is not the record of this sheet
            if isinstance(record, dict) and record.get("ids_sha256") == digest and isinstance(record["types"], dict):
                return tuple(record["types"])
    return ()


def _sheet(name: str, path: Path, rows: Mapping[str, _Row], types: Sequence[str]) -> FilledSheet:
    labels: dict[str, dict[str, str]] = {column: {} for column in QUESTIONS}
    for column, found in labels.items():
        known = allowed(column, types)
        for id, row in rows.items():
            text = label(column, unguarded(row.cells[column]))
            if known and text and text not in known:
                hint = did_you_mean(text, known) if column == TYPE else f"known: {', '.join(known)}"
                raise DataError(f"{row.where}: {text!r} is no label of {column!r}", hint)
            if text:
                found[id] = text
    return FilledSheet(name, tuple(rows), labels)


def _names(paths: Sequence[Path]) -> list[str]:
    """What tells the sheets apart: their files' names, or their paths where those are not enough."""
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
