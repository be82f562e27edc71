"""The same relative caption in other words: from a file, or by templates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from motacli.errors import DataError
from motacli.runs import explained

TEMPLATES = ("please, {}", "{}, please", "the same, but {}", "what i want: {}")
"""[ours] Wrappers that hold for any relative caption. They change how it is asked, not a word of what: a router that is
not steady under these is not steady, and one that is may still not be under real paraphrases."""
_HINT = 'one JSON object per line: {"id": "...", "captions": ["...", "..."]}'


def by_template(captions: Sequence[str]) -> list[tuple[str, ...]]:
    """The paraphrases of a query's relative captions, all of them in the same way."""
    return [tuple(template.format(caption) for caption in captions) for template in TEMPLATES]


def read_paraphrases(path: Path) -> dict[str, tuple[str, ...]]:
    """Paraphrases by query id; `DataError`, naming file and line, for anything else than `_HINT` says."""
    if not path.is_file():
        raise DataError(f"no such file of paraphrases: {path}", _HINT)
    found: dict[str, tuple[str, ...]] = {}
    with explained(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            id, captions = _parsed(line, f"{path}:{number}")
            if id in found:
                raise DataError(f"{path}:{number}: the 'id' {id!r} is that of an earlier line too", "ids are unique")
            found[id] = captions
    if not found:
        raise DataError(f"{path}: no paraphrases in this file", _HINT)
    return found


def _parsed(line: bytes, where: str) -> tuple[str, tuple[str, ...]]:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError derive from it
        raise DataError(f"{where}: not valid JSON in UTF-8: {error}", _HINT) from error
    id, captions = (record.get("id"), record.get("captions")) if isinstance(record, Mapping) else (None, None)
    if not isinstance(id, str) or not isinstance(captions, list) or not captions:
        raise DataError(f"{where}: no 'id' with a list of 'captions'", _HINT)
    if not all(isinstance(text, str) and text.strip() for text in captions):
        raise DataError(f"{where}: 'captions' holds something else than text", _HINT)
    return id, tuple(captions)
