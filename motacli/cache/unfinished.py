"""What is finished of a cache under way, to read while its builder goes on.

A view is what the list of parts said at one moment. The builder is not disturbed: nothing it does waits for readers,
and part files never change. Once it is done, parts may be gone; their rows are then read from the cache itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from motacli.cache.broken import write_broken
from motacli.cache.columns import IMAGE_COLUMNS, Columns, read_values
from motacli.cache.exporting import export_cache, exporter
from motacli.cache.header import FILE, Header
from motacli.cache.holding import held
from motacli.cache.manifest import read_manifest
from motacli.cache.parts import Broken, Part, columns_digest, read_part
from motacli.cache.putting_together import put_together
from motacli.cache.reading import FeatureCache
from motacli.cache.work import MANIFEST, PLAN, Plan, parts_folder, read_plan, say_unfinished
from motacli.errors import DataError, MotaError
from motacli.hdf5 import text_digest
from motacli.runs import explained, partial_path, refuse_existing


@dataclass(frozen=True)
class FinishedPart:
    """The first rows of a cache under way, as many as are finished without a gap; text features are not among them.

    ``before`` are the rows of the finished cache that these are added to. Rows are checked whenever they are read:
    `DataError` says where they are not those that were written.
    """

    path: Path
    plan: Plan
    parts: tuple[Part, ...]
    before: int = 0

    def __len__(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def done(self) -> int:
        """How many of ``plan.rows`` pictures are dealt with, encoded or `broken`."""
        return sum(part.stop - part.start for part in self.parts)

    @property
    def broken(self) -> tuple[Broken, ...]:
        """The pictures among them that could not be read."""
        return tuple(one for part in self.parts for one in part.broken)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the rows, in the order of the source."""
        return tuple(str(id) for piece in self.pieces() for id in piece["ids"])

    def features(self) -> np.ndarray:
        """Image features ``(N, d)``, float32; row ``i`` belongs to ``ids[i]``."""
        found = [np.asarray(piece["features"], np.float32) for piece in self.pieces()]
        return np.concatenate(found) if found else np.empty((0, self.plan.joint_dim), np.float32)

    def captions(self) -> tuple[str, ...]:
        """The captions of the rows; `DataError` where the cache is to have none."""
        if not self.plan.captions:
            raise DataError(f"{self.path} holds no captions")
        return tuple(str(text) for piece in self.pieces() for text in piece["captions"])

    def pieces(self) -> Iterator[Columns]:
        """The columns ``ids``, ``features`` and, if there are any, ``captions``, part by part."""
        row = self.before
        for part in self.parts:
            if part.rows:
                yield self._read(part, row)
                row += part.rows

    def save(self, out: Path) -> FeatureCache:
        """Write ids and features as a cache of their own."""
        refuse_existing(out)
        if not len(self):
            raise DataError(f"of {self.path} nothing is finished yet", "try again later")
        header = Header(
            backbone=self.plan.backbone,
            fingerprint=self.plan.fingerprint,
            joint_dim=self.plan.joint_dim,
            made_of=self.plan.made_of,
            dtype=self.plan.dtype,
            source=str(text_digest(self.ids).hexdigest()),
            count=len(self),
            skipped=len(self.broken),
            computed=self.plan.computed,
        ).dated()

        def pieces(names: Sequence[str]) -> Iterator[Columns]:
            return ({name: piece[name] for name in ("ids", "features")} for piece in self.pieces())

        with held(out):
            write_broken(out, self.broken)
            put_together(out, header, False, pieces)
        return FeatureCache(out)

    def _read(self, part: Part, row: int) -> Columns:
        folder = parts_folder(self.path) if self.plan.layout == "parts" else partial_path(self.path)
        try:
            return read_part(folder / part.file, part)
        except MotaError:  # also where it goes between being looked for and being opened
            if (folder / part.file).exists() or not self.path.exists():
                raise
        return self._read_finished(part, row)

    def _read_finished(self, part: Part, row: int) -> Columns:
        """The same rows from the cache, whose builder is done."""
        with FILE.opened(self.path, "r") as file, FILE.explaining_damage(self.path):
            columns = {name: read_values(file, name, row, row + part.rows) for name in IMAGE_COLUMNS if name in file}
        if columns_digest(columns) != part.sha256:
            raise DataError(f"{self.path} was built anew meanwhile", "open it again")
        return columns


def open_finished(path: Path) -> FinishedPart:
    """A view of what is finished of the cache ``path``; `DataError` where none is under way, complete or not there."""
    path, folder = Path(path), partial_path(path)
    try:
        plan, parts = read_plan(folder), read_manifest(folder / MANIFEST)
        before = _rows_before(path, plan)
    except MotaError:
        if (folder / PLAN).is_file():
            raise
        before = None  # done in this moment, or long since
    if before is not None:
        return FinishedPart(path, plan, tuple(_without_gap(parts, plan)), before)
    if path.exists():
        raise DataError(f"{path} is complete", "read it as it is")
    say_unfinished(path)


def export_finished(path: Path, out: Path) -> tuple[FinishedPart, list[Path]]:
    """Write what is finished of a cache as one of its own, or, by the ending of ``out``, as `export_cache` does."""
    found = open_finished(path)
    if out.suffix.lower() in (".h5", ".hdf5"):
        return found, [found.save(out).path]
    exporter(out)
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as folder:
        return found, export_cache(found.save(Path(folder) / "finished.h5").path, out)


def _rows_before(path: Path, plan: Plan) -> int | None:
    """The rows of the cache that is added to; None where the build of ``plan`` is done."""
    if not path.exists():
        return 0
    header = FeatureCache(path, check=False).header
    return None if header.build == plan.digest() else header.count


def _without_gap(parts: Sequence[Part], plan: Plan) -> Iterator[Part]:
    at = plan.first
    for part in sorted((part for part in parts if part.kind == "images"), key=lambda part: part.start):
        if part.start != at:
            return
        yield part
        at = part.stop
