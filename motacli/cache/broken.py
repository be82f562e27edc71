"""``<name>.errors.jsonl``: the pictures that a cache lacks because they could not be read, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from motacli.cache.parts import Broken
from motacli.errors import DataError
from motacli.runs import explained, replace_file


def errors_file(path: Path) -> Path:
    """Where the broken pictures of the cache ``path`` are listed."""
    return path.with_name(f"{path.name}.errors.jsonl")


def read_broken(path: Path) -> list[Broken]:
    """The broken pictures of a cache; none where the file is missing."""
    file = errors_file(path)
    if not file.exists():
        return []
    try:
        with explained(file):
            return [Broken(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]
    except (ValueError, TypeError) as error:
        raise DataError(f"{file} is damaged: {error}", "remove it: broken pictures are tried again") from error


def write_broken(path: Path, broken: Sequence[Broken]) -> None:
    """List the broken pictures of a cache; without any there is no file."""
    file = errors_file(path)
    with explained(file):
        if not broken:
            file.unlink(missing_ok=True)
            return
    lines = (json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in broken)
    replace_file(file, "".join(lines).encode("utf-8", "backslashreplace"))
