"""Triplets on disk: JSONL, one `Triplet` per line, and a record beside it that says where they come from.

``triplets.jsonl`` holds an object per line whose keys are the fields of `Triplet`: text that is not empty, and
``generator``, an object whose ``name`` is not empty either. Keys beyond those are ignored, so that people can add notes
of their own; blank lines are passed over. ``triplets.rejects.jsonl`` says of everything that was refused why.
``triplets.meta.json`` is the `TripletReport` of the run that wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path

from motacli.contracts import GeneratorInfo, ImageText, Rejection, Triplet
from motacli.errors import DataError
from motacli.runs import explained, new_file
from motacli.triplets.keys import KeySet, digest64

KEYS = tuple(field.name for field in fields(Triplet))


def meta_path(path: Path) -> Path:
    """Where the record of a triplets file is: ``triplets.meta.json`` beside ``triplets.jsonl``."""
    return path.with_name(f"{path.stem}.meta.json")


def rejects_path(path: Path) -> Path:
    """Where what was refused is written: ``triplets.rejects.jsonl`` beside ``triplets.jsonl``."""
    return path.with_name(f"{path.stem}.rejects.jsonl")


def line_of(triplet: Triplet) -> bytes:
    """A triplet as a line of JSONL, its newline included."""
    return _line(asdict(triplet))


def reject_line(row: ImageText, rejection: Rejection, generator: GeneratorInfo) -> bytes:
    """A rejection as a line of JSONL: its row, why, and what was refused, where that is any text."""
    record = {"source_id": row.id, "image": row.image.id, "caption": row.caption}
    return _line({**record, **asdict(rejection), "generator": asdict(generator)})


def _line(record: Mapping[str, object]) -> bytes:
    # Half of a surrogate pair, which JSON from elsewhere can spell, would not be UTF-8.
    return (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def check_triplet(record: Mapping[str, object], where: str) -> Triplet:
    """The triplet in a mapping; `DataError`, starting with ``where`` and naming the key, if it does not hold one."""
    missing = [key for key in KEYS if key not in record]
    if missing:
        raise DataError(f"{where}: no {missing[0]!r} in this triplet", f"a triplet has the keys {', '.join(KEYS)}")
    texts = {key: _text(record[key], key, where) for key in KEYS if key != "generator"}
    return Triplet(**texts, generator=_generator(record["generator"], where))


def write_triplets(path: Path, triplets: Iterable[Triplet]) -> int:
    """Write triplets as JSONL and return how many; refuses to overwrite, and what `check_triplet` refuses."""
    count = 0
    with new_file(path) as partial, partial.open("wb") as file:
        for triplet in triplets:
            count += 1
            file.write(line_of(check_triplet(asdict(triplet), f"triplet {count}")))
    return count


def read_triplets(path: Path) -> list[Triplet]:
    """The triplets of a file.

    Raises `DataError` naming file, line and key for what is not a triplet, an id that occurs twice, or an empty file.
    """
    return list(iter_triplets(path))


def iter_triplets(path: Path) -> Iterator[Triplet]:
    """The triplets of a file one by one, checked as by `read_triplets`."""
    if not path.is_file():
        raise DataError(f"no such triplets file: {path}", "write one with `mota gen-triplets`")
    seen = KeySet()
    with explained(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            triplet = check_triplet(_record(line, where), where)
            if not seen.add(digest64(triplet.id)):
                raise DataError(f"{where}: the 'id' {triplet.id!r} is that of an earlier line too", "ids are unique")
            yield triplet
    if not seen:
        raise DataError(f"{path}: no triplets in this file", "it should hold one JSON object per line")


def _record(line: bytes, where: str) -> dict[str, object]:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not valid JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object")
    return record


def _generator(value: object, where: str) -> GeneratorInfo:
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: 'generator' must be an object, not {value!r}", "it has at least a 'name'")
    name = _text(value.get("name"), "generator.name", where)
    rest = {key: value.get(key, "") for key in ("model", "prompt_hash")}
    wrong = next((key for key, text in rest.items() if not isinstance(text, str)), None)
    if wrong is not None:
        raise DataError(f"{where}: 'generator.{wrong}' must be text, not {rest[wrong]!r}")
    return GeneratorInfo(name, **rest)


def _text(value: object, key: str, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: {key!r} must be text, not {value!r}")
    if not value.strip():
        raise DataError(f"{where}: {key!r} is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can spell and UTF-8 cannot
        raise DataError(f"{where}: {key!r} is not valid Unicode: {value!r}") from error
    return value
