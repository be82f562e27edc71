"""Everything that can be wrong with a cache, found without stopping at the first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from motacli.cache import format_1
from motacli.cache.columns import blocks, columns_of, is_sealed, read_values, wrong_blocks
from motacli.cache.fingerprints import difference, made_of, named
from motacli.cache.header import FILE, Header
from motacli.cache.manifest import read_manifest
from motacli.cache.parts import read_part
from motacli.cache.reading import open_header
from motacli.cache.work import MANIFEST, PLAN, parts_folder, read_plan
from motacli.contracts import Backbone
from motacli.errors import DataError
from motacli.runs import partial_path

_SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """``problems`` in words; none are good. Norms are those of image features, NaN where there are none to read."""

    file: Path
    rows: int
    blocks: int
    not_finite: int
    duplicates: int
    norm_min: float
    norm_mean: float
    norm_max: float
    problems: tuple[str, ...]

    def numbers(self) -> dict[str, object]:
        """A row of a table: all but the words."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "problems"}
        return {**found, "problems": len(self.problems)}


def verify_cache(path: Path, backbone: Backbone | None = None) -> Verdict:
    """Check a cache, or the finished parts of an unfinished one; with ``backbone`` whether they are its features.

    Raises `DataError` only where nothing can be opened.
    """
    if not path.exists() and (partial_path(path) / PLAN).is_file():
        return _verify_parts(path, backbone)
    with FILE.opened(path, "r") as file, FILE.explaining_damage(path):
        header = open_header(file, path)
        problems = [*_wrong_backbone(header.backbone, header.fingerprint, header.made_of, backbone)]
        problems += _wrong_checksums(file, path, header)
        duplicates = _duplicates(file, header)
        problems += [f"{len(duplicates)} ids occur more than once: {', '.join(duplicates[:_SHOWN])}"] * bool(duplicates)
        norms = _Norms(file, header)
        problems += norms.problems(header)
    return Verdict(
        path,
        header.count,
        len(list(blocks(header.count))),
        norms.not_finite,
        len(duplicates),
        norms.least,
        norms.mean,
        norms.most,
        tuple(problems),
    )


def _verify_parts(path: Path, backbone: Backbone | None) -> Verdict:
    work = partial_path(path)
    plan, parts = read_plan(work), read_manifest(work / MANIFEST)
    problems = [*_wrong_backbone(plan.backbone, plan.fingerprint, plan.made_of, backbone)]
    folder = parts_folder(path) if plan.layout == "parts" else work
    for part in parts:
        if part.rows:
            try:
                read_part(folder / part.file, part)
            except DataError as error:
                problems.append(error.message)
    rows = sum(part.rows for part in parts if part.kind == "images")
    return Verdict(path, rows, len(parts), 0, 0, np.nan, np.nan, np.nan, tuple(problems))


def _wrong_backbone(name: str, fingerprint: str, kept: object, backbone: Backbone | None) -> Iterator[str]:
    if backbone is not None and backbone.fingerprint() != fingerprint:
        wanted = named(backbone.name, backbone.fingerprint())
        said = difference(dict(kept), made_of(backbone))  # type: ignore[call-overload]
        yield f"made by another backbone, {named(name, fingerprint)}, not {wanted}{said}"


def _wrong_checksums(file: h5py.File, path: Path, header: Header) -> Iterator[str]:
    if header.format == 1:
        try:
            format_1.require_intact(file, path)
        except DataError as error:
            yield error.message
        return
    if not is_sealed(file, header):
        yield "attributes or checksums do not match their checksum"
    for name in columns_of("captions" in file):
        for start, stop in wrong_blocks(file, name, header.count):
            yield f"rows {start} to {stop - 1} of {name!r} do not match their checksum"


def _duplicates(file: h5py.File, header: Header) -> list[str]:
    """Ids that occur more than once, found in a database in a temporary file: memory stays flat."""
    with closing(sqlite3.connect("")) as database:
        database.execute("CREATE TABLE ids (id TEXT)")
        for edge in blocks(header.count):
            try:
                ids = read_values(file, "ids", *edge)
            except (OSError, ValueError, RuntimeError):  # reported as a wrong checksum
                continue
            database.executemany("INSERT INTO ids VALUES (?)", ((id,) for id in ids))
        found = database.execute("SELECT id FROM ids GROUP BY id HAVING count(*) > 1 ORDER BY id")
        return [str(row[0]) for row in found]


class _Norms:
    """Lengths of image features; rows that are not finite are counted apart."""

    def __init__(self, file: h5py.File, header: Header) -> None:
        self.not_finite, self.zeros, self.least, self.most = 0, 0, np.inf, 0.0
        total, count = 0.0, 0
        for edge in blocks(header.count):
            try:
                rows = np.asarray(read_values(file, "features", *edge), np.float32)
            except (OSError, RuntimeError):  # reported as a wrong checksum
                continue
            finite = np.isfinite(rows).all(axis=1)
            self.not_finite += int((~finite).sum())
            norms = np.linalg.norm(rows[finite].astype(np.float64), axis=1)
            self.zeros += int((norms == 0).sum())
            total, count = total + float(norms.sum()), count + len(norms)
            self.least = min(self.least, float(norms.min(initial=np.inf)))
            self.most = max(self.most, float(norms.max(initial=0.0)))
        self.mean = total / count if count else np.nan

    def problems(self, header: Header) -> Iterator[str]:
        """What is wrong with them, in words."""
        if self.not_finite:
            yield f"{self.not_finite} rows hold NaN or infinity"
        if self.zeros:
            yield f"{self.zeros} rows are all zeros"
        if header.normalised and not (self.least > 0.99 and self.most < 1.01):
            yield f"rows should have length one, and have {self.least:.4g} to {self.most:.4g}"
