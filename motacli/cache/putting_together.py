"""A cache made in one go from rows that are there: merged, repaired or imported ones."""

from __future__ import annotations

import contextlib
from pathlib import Path

from motacli.cache.finishing import Pieces, write_single
from motacli.cache.header import Header
from motacli.runs import explained, partial_path


def put_together(path: Path, header: Header, captions: bool, pieces: Pieces) -> None:
    """Write ``path``, which appears when complete; whoever calls holds its lock."""
    folder = partial_path(path)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    work = folder / "whole.h5"
    try:
        write_single(work, path, header, captions, pieces)
    finally:
        work.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # where it holds something else
            folder.rmdir()
