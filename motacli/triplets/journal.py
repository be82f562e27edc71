"""The unfinished half of a triplets file: what a run killed at any moment can go on from.

``<out>.partial`` holds the triplets. ``<out>.rows.partial`` opens with the settings of the run and gets a line for each
finished row, its picture's id and how many triplets it gave, once these are written.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from motacli.contracts import Triplet
from motacli.errors import DataError, MotaError
from motacli.runs import explained, jsonable, partial_path
from motacli.triplets.schema import check_triplet, line_of


@dataclass
class Counts:
    """What was read and written so far."""

    rows: int = 0
    skipped: int = 0
    triplets: int = 0
    modifications: Counter[str] = field(default_factory=Counter)
    contexts: Counter[str] = field(default_factory=Counter)

    def add(self, triplet: Triplet) -> None:
        """Count a triplet."""
        self.triplets += 1
        self.modifications[triplet.modification] += 1
        self.contexts[triplet.context] += 1

    def finish(self, triplets: int) -> None:
        """Count a row that gave so many triplets."""
        self.rows += 1
        self.skipped += triplets == 0


class Journal:
    """``with Journal(out, settings, resume) as journal``: `write` triplets and `finish` their rows, then `complete`.

    Raises `MotaError` where an unfinished run is in the way and ``resume`` is False, or its settings are others.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], resume: bool) -> None:
        self.out = out
        self.data = partial_path(out)
        self.rows = partial_path(out.with_name(out.name + ".rows"))
        self.counts = Counts()
        self._settings = jsonable(settings)
        self._resume = resume
        self._ids: set[str] = set()
        self._files = ExitStack()

    def __enter__(self) -> Journal:
        with explained(self.out):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            if self.data.exists() or self.rows.exists():
                self._go_on()
            self._data = self._files.enter_context(self.data.open("ab"))
            self._rows = self._files.enter_context(self.rows.open("ab"))
            if self._rows.tell() == 0:
                self._append(self._settings)
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()
        if not self.counts.triplets:
            self.data.unlink(missing_ok=True)
            self.rows.unlink(missing_ok=True)

    def finished(self) -> Iterator[str]:
        """The picture ids of the rows that an earlier attempt finished, in order."""
        with self.rows.open("rb") as file:
            next(file)
            for line in file:
                yield json.loads(line)[0]

    def write(self, triplet: Triplet, where: str) -> None:
        """Add a triplet, under another id if its own is taken."""
        triplet = check_triplet(asdict(triplet), where)
        name, number = triplet.id, 1
        while name in self._ids:
            number += 1
            name = f"{triplet.id}~{number}"
        self._ids.add(name)
        self.counts.add(triplet)
        self._data.write(line_of(replace(triplet, id=name)))

    def finish(self, image: str, triplets: int) -> None:
        """Note that all of a row's triplets are written."""
        self._data.flush()
        self._append([image, triplets])
        self.counts.finish(triplets)

    def complete(self) -> None:
        """Give the triplets file its name; the block must have ended."""
        with explained(self.out):
            os.replace(self.data, self.out)
            self.rows.unlink()

    def _append(self, value: object) -> None:
        self._rows.write((json.dumps(value) + "\n").encode())
        self._rows.flush()

    def _go_on(self) -> None:
        """Cut both files back to the last finished row and count what remains."""
        if not self._resume:
            hint = "go on with --resume, remove it or choose another name"
            raise MotaError(f"an unfinished run is in the way: {self.data}", hint)
        self.data.touch()
        self.rows.touch()
        with self.data.open("r+b") as data, self.rows.open("r+b") as rows:
            settings = _whole_line(rows)
            if settings is None:
                rows.truncate(0)
            elif json.loads(settings) != self._settings:
                hint = "give the same data set and options, or remove it"
                raise MotaError(f"the unfinished run {self.data} was started with other options", hint)
            else:
                self._keep_finished(data, rows)
            data.truncate(0 if settings is None else data.tell())

    def _keep_finished(self, data: BinaryIO, rows: BinaryIO) -> None:
        while True:
            kept_rows, kept_data = rows.tell(), data.tell()
            row = _whole_line(rows)
            lines = [] if row is None else [_whole_line(data) for _ in range(json.loads(row)[1])]
            if row is None or None in lines:
                break
            for line in filter(None, lines):
                triplet = self._read(line)
                self._ids.add(triplet.id)
                self.counts.add(triplet)
            self.counts.finish(len(lines))
        rows.truncate(kept_rows)
        data.seek(kept_data)

    def _read(self, line: bytes) -> Triplet:
        try:
            return check_triplet(json.loads(line), str(self.data))
        except ValueError as error:
            raise DataError(f"{self.data} is damaged: {error}", "remove it and start anew") from error


def _whole_line(file: BinaryIO) -> bytes | None:
    """The next line, or None where there is none or its end was never written."""
    line = file.readline()
    return line if line.endswith(b"\n") else None
