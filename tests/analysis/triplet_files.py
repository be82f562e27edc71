"""Triplets files for the tests of analyses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def record(number: int, **changed: Any) -> dict[str, Any]:
    """A triplet as a line of JSON holds it."""
    return {
        "id": f"{number}#0",
        "source_id": str(number),
        "image": f"{number}.png",
        "reference_caption": f"a red dress number {number}",
        "relative_caption": f"make it blue {number}",
        "target_caption": f"a blue dress number {number}",
        "modification_type": "colour",
        "context": "keep",
        "generator": {"name": "llm", "model": "m", "prompt_hash": "p"},
        **changed,
    }


def write(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    """A triplets file."""
    path.write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, parsed."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
