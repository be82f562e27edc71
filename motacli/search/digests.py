"""Digests of pictures, each taken once: what a build has digested is there for the one that goes on with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TextIO

from motacli.console import Progress
from motacli.encoding import ahead
from motacli.errors import MotaError
from motacli.runs import explained, file_digest
from motacli.search.scanning import Problem, Seen

LOG = "digests.jsonl"


def digested(
    pictures: Iterable[Seen], folder: Path, log: Path, workers: int, progress: Progress
) -> tuple[dict[str, str], list[Problem]]:
    """SHA-256 of each picture by its id, and what could not be read; those in the file ``log`` are taken from there."""
    known, end = _read(log)
    found: dict[str, str] = {}
    left: list[Seen] = []
    for seen in pictures:
        if (digest := known.get(seen)) is None:
            left.append(seen)
        else:
            found[seen.id] = digest
    problems: list[Problem] = []
    results = ahead(lambda seen: _digest(folder, seen), left, workers, 64)
    with closing(results), _appending(log, end) as file:
        for seen, result in zip(left, progress.track(results, "reading pictures", len(left)), strict=True):
            if isinstance(result, Problem):
                problems.append(result)
                continue
            found[seen.id] = result
            print(json.dumps([seen.id, seen.size, seen.mtime_ns, result]), file=file)
    return found, problems


def unchanged(folder: Path, seen: Seen) -> bool:
    """Whether a picture still has the size and the time it was seen with."""
    try:
        stat = os.stat(folder / seen.id)
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (seen.size, seen.mtime_ns)


def _digest(folder: Path, seen: Seen) -> str | Problem:
    try:
        digest = file_digest(folder / seen.id)
    except MotaError as error:
        return Problem(seen.id, error.message)
    return digest if unchanged(folder, seen) else Problem(seen.id, "it changed while it was read")


def _read(log: Path) -> tuple[dict[Seen, str], int]:
    """What is known, and where the last whole line ends: a kill may have left a part of one behind it."""
    known, end = {}, 0
    if log.is_file():
        with explained(log), log.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                id, size, mtime_ns, digest = json.loads(line)
                known[Seen(id, size, mtime_ns)] = digest
                end += len(line)
    return known, end


@contextmanager
def _appending(log: Path, end: int) -> Iterator[TextIO]:
    with explained(log), log.open("a", encoding="utf-8") as file:
        file.truncate(end)
        yield file
