"""Which parts are finished: a file of JSON lines. What does not stand in it, or only half of it, does not count."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from motacli.cache.parts import Broken, Kind, Part, sync
from motacli.errors import DataError
from motacli.runs import explained, replace_file


def read_manifest(path: Path) -> list[Part]:
    """The finished parts in the order they were finished; a last line that a crash cut off is left out."""
    if not path.exists():
        return []
    with explained(path):
        lines = path.read_bytes().split(b"\n")
    return [_part(line, path, number) for number, line in enumerate(lines[:-1], 1)]


def readable_parts(path: Path) -> list[Part]:
    """The finished parts, without the lines that are damaged."""
    if not path.exists():
        return []
    with explained(path):
        lines = path.read_bytes().split(b"\n")[:-1]
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(_part(line, path, number))
        except DataError:  # what is not listed does not count
            continue
    return found


def mend_manifest(path: Path) -> None:
    """Cut off what a crash left of a last line, so that further lines stand alone."""
    if path.exists():
        with explained(path), path.open("r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
            sync(file.fileno())


def add_to_manifest(path: Path, part: Part) -> None:
    """Count a part as finished: its file has reached the disk."""
    with explained(path), path.open("ab") as file:
        file.write(_line(part))
        file.flush()
        sync(file.fileno())


def replace_manifest(path: Path, parts: Iterable[Part]) -> None:
    """Write it anew, whole or not at all."""
    replace_file(path, b"".join(map(_line, parts)))


def uncovered(parts: Iterable[Part], kind: Kind, start: int, stop: int) -> list[tuple[int, int]]:
    """The gaps that the parts of a kind leave between two rows; `DataError` where two of them overlap."""
    gaps, at = [], start
    for part in sorted((part for part in parts if part.kind == kind), key=lambda part: (part.start, part.stop)):
        if part.start < at or part.stop > stop:
            raise DataError(f"parts overlap at row {part.start}", "remove the unfinished cache and begin anew")
        if part.start > at:
            gaps.append((at, part.start))
        at = part.stop
    return [*gaps, (at, stop)] if at < stop else gaps


def _line(part: Part) -> bytes:
    return json.dumps(asdict(part), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _part(line: bytes, path: Path, number: int) -> Part:
    try:
        record = json.loads(line.decode("utf-8", "surrogatepass"))
        broken = tuple(Broken(**one) for one in record.pop("broken"))
        return Part(**record, broken=broken)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}:{number} is damaged: {error}", "`mota cache repair` drops such lines") from error
