"""The unfinished half of a triplets file: what a run killed at any moment can go on from.

``<out>.partial`` holds the triplets and ``<out>.rejects.jsonl.partial`` what was refused. ``<out>.rows.partial`` opens
with the settings of the run and gets a line for each finished row: its id, a digest of its contents, how many lines it
has in the other two, and what it cost. Rows are appended in small groups, each on the disk before the next begins:
first the lines of its rows, then the rows.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from motacli.contracts import GeneratorInfo, Outcome, Triplet
from motacli.errors import DataError, MotaError
from motacli.runs import explained, jsonable, partial_path
from motacli.triplets.keys import KeySet, digest64
from motacli.triplets.schema import check_triplet, line_of, reject_line, rejects_path


@dataclass
class Counts:
    """What was read and written so far."""

    rows: int = 0
    empty_rows: int = 0
    triplets: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    modification_types: Counter[str] = field(default_factory=Counter)
    contexts: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, triplet: Triplet) -> None:
        """Count a triplet."""
        self.triplets += 1
        self.modification_types[triplet.modification_type] += 1
        self.contexts[triplet.context] += 1

    def finish(self, row: FinishedRow) -> None:
        """Count a finished row."""
        self.rows += 1
        self.empty_rows += row.triplets == 0
        self.requests += row.requests
        self.prompt_tokens += row.prompt_tokens
        self.completion_tokens += row.completion_tokens


class FinishedRow(NamedTuple):
    """A line of the rows' log."""

    id: str
    key: int
    triplets: int
    rejections: int
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Journal:
    """``with Journal(out, settings, resume) as journal``: `append` outcomes group by group, then `complete`.

    ``remember`` are called with the triplets that an earlier attempt wrote. Raises `MotaError` where an unfinished run
    is in the way and ``resume`` is False, or its settings are others.
    """

    def __init__(
        self,
        out: Path,
        settings: Mapping[str, Any],
        resume: bool,
        remember: Sequence[Any] = (),
    ) -> None:
        self.out = out
        self.rejects = rejects_path(out)
        self.counts = Counts()
        self._data_path = partial_path(out)
        self._rejects_path = partial_path(self.rejects)
        self._rows_path = partial_path(out.with_name(out.name + ".rows"))
        self._settings = jsonable(settings)
        self._resume = resume
        self._remember = remember
        self._ids, self._keys = KeySet(), KeySet()
        self._files = ExitStack()

    def __enter__(self) -> Journal:
        with explained(self.out):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            unfinished = any(path.exists() for path in self._paths)
            if unfinished and not self._resume:
                hint = "go on with --resume, remove it or choose another name"
                raise MotaError(f"an unfinished run is in the way: {self._data_path}", hint)
            with ExitStack() as files:
                self._data, self._refused, self._rows = (files.enter_context(p.open("ab")) for p in self._paths)
                _claim(self._rows, self._data_path)
                if unfinished:
                    self._go_on()
                if self._rows_path.stat().st_size == 0:
                    self._rows.write(_line(self._settings))
                    _to_disk(self._rows)
                self._files = files.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()
        if not self.counts.rows:
            for path in self._paths:
                path.unlink(missing_ok=True)

    @property
    def _paths(self) -> tuple[Path, Path, Path]:
        return self._data_path, self._rejects_path, self._rows_path

    def is_finished(self, id: str, key: int) -> bool:
        """Whether an earlier attempt finished the row; `DataError` where its contents were others then."""
        if not len(self._ids):
            return False
        if digest64(id, f"{key:x}") in self._keys:
            return True
        if digest64(id) in self._ids:
            hint = f"give the data set as it was, or remove {self._data_path} and start anew"
            raise DataError(f"row {id!r} of the data set changed since the unfinished run {self._data_path}", hint)
        return False

    def append(self, group: Sequence[tuple[int, Outcome]], info: GeneratorInfo) -> None:
        """Write the outcomes of some rows, each with the digest of the row's contents, through to the disk."""
        finished: list[FinishedRow] = []
        with explained(self.out):
            for key, outcome in group:
                for triplet in outcome.triplets:
                    self._data.write(line_of(triplet))
                    self.counts.add(triplet)
                for rejection in outcome.rejections:
                    self._refused.write(reject_line(outcome.row, rejection, info))
                    self.counts.rejected[rejection.reason] += 1
                finished.append(_finished(key, outcome))
                self.counts.finish(finished[-1])
            _to_disk(self._data)
            _to_disk(self._refused)
            self._rows.writelines(map(_line, finished))
            _to_disk(self._rows)

    def complete(self) -> None:
        """Give the files their names, the rejects first; the block must have ended."""
        with explained(self.out):
            self.keep_rejects()
            os.replace(self._data_path, self.out)
            self._rows_path.unlink()

    def keep_rejects(self) -> None:
        """Give the rejects their name."""
        os.replace(self._rejects_path, self.rejects)

    def discard(self) -> None:
        """Leave the rejects and nothing else: for a run that gave no triplet."""
        with explained(self.out):
            self.keep_rejects()
            self._data_path.unlink()
            self._rows_path.unlink()

    @property
    def triplets_path(self) -> Path:
        """Where the triplets are until `complete`."""
        return self._data_path

    # ------------------------------------------------------------------------------------------ going on

    def _go_on(self) -> None:
        """Cut the files back to the last finished row and count what remains."""
        with ExitStack() as files:
            data, refused, rows = (files.enter_context(path.open("r+b")) for path in self._paths)
            settings = _whole_line(rows)
            if settings is not None and self._decoded(settings, self._rows_path) != self._settings:
                hint = (
                    f"give the same data set and options, or remove {self._rows_path.name} and the other .partial files"
                )
                raise MotaError(f"the unfinished run {self._data_path} was started with other options", hint)
            if settings is None:
                rows.seek(0)
            else:
                self._keep_finished(data, refused, rows)
            for file in (data, refused, rows):
                file.truncate()

    def _keep_finished(self, data: BinaryIO, refused: BinaryIO, rows: BinaryIO) -> None:
        """Count the finished rows; leave all three files where the last of them ends."""
        while True:
            places = [file.tell() for file in (data, refused, rows)]
            line = _whole_line(rows)
            row = None if line is None else FinishedRow(*self._decoded(line, self._rows_path))
            lines = [_whole_line(data) for _ in range(row.triplets)] if row else []
            refusals = [_whole_line(refused) for _ in range(row.rejections)] if row else []
            if row is None or None in lines or None in refusals:
                break
            self._count(row, filter(None, lines), filter(None, refusals))
        for file, place in zip((data, refused, rows), places, strict=True):
            file.seek(place)

    def _count(self, row: FinishedRow, lines: Iterator[bytes], refusals: Iterator[bytes]) -> None:
        for line in lines:
            triplet = check_triplet(self._decoded(line, self._data_path), str(self._data_path))
            self.counts.add(triplet)
            for memory in self._remember:
                memory(triplet)
        for line in refusals:
            self.counts.rejected[self._decoded(line, self._rejects_path)["reason"]] += 1
        self._ids.add(digest64(row.id))
        self._keys.add(digest64(row.id, f"{row.key:x}"))
        self.counts.finish(row)

    def _decoded(self, line: bytes, path: Path) -> Any:
        try:
            return json.loads(line)
        except ValueError as error:
            raise DataError(f"{path} is damaged: {error}", "remove the .partial files and start anew") from error


def _finished(key: int, outcome: Outcome) -> FinishedRow:
    cost = (outcome.requests, outcome.prompt_tokens, outcome.completion_tokens)
    return FinishedRow(outcome.row.id, key, len(outcome.triplets), len(outcome.rejections), *cost)


def _claim(file: BinaryIO, path: Path) -> None:
    """Keep other processes from writing the same run, where the system can (not on Windows)."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MotaError(f"another process is writing {path}", "wait for it, or choose another name") from None


def _line(value: object) -> bytes:
    return (json.dumps(value) + "\n").encode()


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _whole_line(file: BinaryIO) -> bytes | None:
    """The next line, or None where there is none or its end was never written."""
    line = file.readline()
    return line if line.endswith(b"\n") else None
