"""A sheet of triplets for people to judge: a CSV file, a guide for them, and a record of where it came from."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from motacli.analysis.annotation_labels import COLUMNS, SHOWN, guide
from motacli.analysis.sampling import Strata, proportional
from motacli.contracts import Triplet
from motacli.errors import UsageError
from motacli.runs import file_digest, new_file, refuse_existing, write_json
from motacli.triplets.schema import iter_triplets, meta_path

SAMPLE = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets take them for ASCII
GUARD = "'"


@dataclass(frozen=True, slots=True)
class SheetRecord:
    """``<name>.meta.json`` beside a sheet.

    ``types`` counts the triplets of each modification type in the file, ``drawn`` those on the sheet; ``ids_sha256``
    tells the sheet's copies from other sheets.
    """

    source: str
    source_sha256: str
    seed: int
    triplets: int
    rows: int
    types: Mapping[str, int]
    drawn: Mapping[str, int]
    ids_sha256: str


def write_sheet(source: Path, out: Path, *, rows: int = SAMPLE, seed: int = 0) -> SheetRecord:
    """Write a sheet of ``rows`` triplets to ``out``, ``<name>.guide.md`` and ``<name>.meta.json`` beside it.

    Each modification type has the share of the sheet that it has in the file, and at least one row where there is room,
    so that numbers over the sheet speak for the file. The rows are in random order and do not say their type. Raises
    `MotaError` where one of the files exists, and as `motacli.triplets.schema.read_triplets` does.
    """
    if out.suffix.lower() != ".csv":
        raise UsageError(f"a sheet is a CSV file, not {out.name!r}", "give --out a name that ends in .csv")
    for path in (out, guide_path(out), meta_path(out)):
        refuse_existing(path)
    strata = Strata[Triplet](rows, seed)
    for triplet in iter_triplets(source):
        strata.add(triplet.modification_type, triplet)
    counts = strata.counts()
    drawn = strata.draw(proportional(counts, rows))
    chosen = [triplet for triplets in drawn.values() for triplet in triplets]
    Random(f"order|{seed}").shuffle(chosen)
    record = SheetRecord(
        source=str(source),
        source_sha256=file_digest(source),
        seed=seed,
        triplets=sum(counts.values()),
        rows=len(chosen),
        types=counts,
        drawn={kind: len(triplets) for kind, triplets in drawn.items()},
        ids_sha256=ids_digest(triplet.id for triplet in chosen),
    )
    with new_file(out) as work:
        _write_csv(work, chosen)
    with new_file(guide_path(out)) as work:
        work.write_text(guide(counts), encoding="utf-8")
    write_json(meta_path(out), record)
    return record


def guide_path(sheet: Path) -> Path:
    """``sheet.guide.md`` beside ``sheet.csv``."""
    return sheet.with_name(f"{sheet.stem}.guide.md")


def ids_digest(ids: Iterable[str]) -> str:
    """SHA-256 of a sheet's ids, in whatever order they are."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet runs as a formula: an apostrophe before what could begin one."""
    return f"{GUARD}{text}" if text.startswith(_FORMULA) else text


def unguarded(cell: str) -> str:
    """The text behind a cell of `guarded`."""
    return cell[1:] if cell.startswith(GUARD) and cell[1:].startswith(_FORMULA) else cell


def _write_csv(path: Path, triplets: Iterable[Triplet]) -> None:
    # The byte order mark is how spreadsheets tell UTF-8 from the machine's own encoding.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(map(list, map(_cells, triplets)))


def _cells(triplet: Triplet) -> Iterator[str]:
    yield from (guarded(getattr(triplet, name)) for name in SHOWN)
    yield from [""] * (len(COLUMNS) - len(SHOWN))
