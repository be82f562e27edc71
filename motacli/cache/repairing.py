"""What is left of a damaged cache: rows and parts that match their checksums."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import h5py

from motacli.cache import format_1
from motacli.cache.columns import Columns, blocks, columns_of, is_sealed, read_values, wrong_blocks
from motacli.cache.header import FILE, read_header
from motacli.cache.holding import held
from motacli.cache.manifest import readable_parts, replace_manifest
from motacli.cache.parts import read_part
from motacli.cache.putting_together import put_together
from motacli.cache.work import MANIFEST, PLAN, parts_folder, read_plan
from motacli.errors import DataError, MotaError
from motacli.runs import explained, partial_path


@dataclass(frozen=True)
class Repair:
    """What was kept and what was dropped, in rows; ``next`` says how to get it back."""

    file: Path
    kept: int
    dropped: int
    next: str = ""


def repair_cache(path: Path) -> Repair:
    """Drop what is damaged of a cache, or of an unfinished one.

    A damaged file is kept as ``<name>.damaged``. Raises `DataError` where nothing of it can be read any more.
    """
    with held(path):
        if path.exists():
            return _repair_file(path)
        if (partial_path(path) / PLAN).is_file():
            return _repair_parts(path)
    raise DataError(f"no such {FILE.what}: {path}", FILE.missing)


def _repair_file(path: Path) -> Repair:
    aside = path.with_name(f"{path.name}.damaged")
    if aside.exists():
        raise MotaError(f"{aside} is in the way", "remove it: it is what an earlier repair left")
    with FILE.opened(path, "r") as file, FILE.explaining_damage(path):
        if format_1.is_old(file):
            raise DataError(f"{path} is of format 1, whose one checksum cannot tell what is damaged", FILE.again)
        header, captions = read_header(file, path), "captions" in file
        sealed = is_sealed(file, header)
        wrong = {edge for name in columns_of(captions) for edge in wrong_blocks(file, name, header.count)}
    good = [edge for edge in blocks(header.count) if edge not in wrong]
    kept = sum(stop - start for start, stop in good)
    if kept == header.count and not sealed:
        raise DataError(f"the attributes of {path} are damaged: they cannot be trusted", FILE.again)
    if kept == header.count:
        return Repair(path, kept, 0)
    if not kept:
        raise DataError(f"nothing of {path} can be saved", FILE.again)
    with explained(path):
        os.link(path, aside)  # the file keeps its name until the repaired one takes it
    fixed = replace(header, count=kept, layout="single", build="", source=f"{header.source} repaired").dated()
    put_together(path, fixed, captions, partial(_pieces, aside, good))
    return Repair(path, kept, header.count - kept, "`mota cache --append` encodes them again")


def _pieces(path: Path, edges: list[tuple[int, int]], names: Sequence[str]) -> Iterator[Columns]:
    for start, stop in edges:
        with h5py.File(path, "r") as file:
            piece = {name: read_values(file, name, start, stop) for name in names}
        yield piece


def _repair_parts(path: Path) -> Repair:
    work = partial_path(path)
    folder = parts_folder(path) if read_plan(work).layout == "parts" else work
    parts = readable_parts(work / MANIFEST)
    good = []
    for part in parts:
        try:
            if part.rows:
                read_part(folder / part.file, part)
            good.append(part)
        except DataError:  # told as the number of rows that were dropped
            continue
    replace_manifest(work / MANIFEST, good)
    kept, total = (sum(part.stop - part.start for part in some if part.kind == "images") for some in (good, parts))
    return Repair(path, kept, total - kept, "the same `mota cache` goes on" if kept < total else "")
