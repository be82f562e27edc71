"""One state of an index, open to be searched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from motacli.contracts import IndexStore
from motacli.errors import UsageError
from motacli.plugins import PluginHost
from motacli.search import filters
from motacli.search.calibration import Sample, scores
from motacli.search.index import Index
from motacli.search.ranking import best_rows
from motacli.search.results import Background, Hit

KEPT_CONDITIONS = 8
"""Sets of conditions whose rows are kept: who types asks again and again with the same ones."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which results are wanted: the best ``k`` with at least ``min_score`` among those that meet every condition."""

    k: int
    min_score: float | None = None
    where: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The results, among how many pictures they were looked for, and what the sample's cosines are."""

    hits: tuple[Hit, ...]
    total: int
    background: Background


@dataclass(eq=False, slots=True)
class Opened:
    """A state of an index."""

    index: Index
    store: IndexStore
    sample: Sample = field(repr=False)
    allowed_rows: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, path: Path, host: PluginHost) -> Opened:
        """The current state of the index ``path``."""
        index = Index.open(path)
        try:
            store = index.open_store(host)
        except BaseException:
            stale = index.is_stale()
            index.close()
            if stale:  # an update removed the state in this moment
                return cls.open(path, host)
            raise
        return cls(index, store, Sample.of(index.vectors))

    def features(self, ids: Sequence[str]) -> np.ndarray:
        """Stored features ``(R, d)``, float32, of pictures of the index; `UsageError` for an id that it lacks."""
        entries = {id: self.index.entries.find(id) for id in ids}
        rows = []
        for id, entry in entries.items():
            if entry is None:
                raise UsageError(f"there is no picture {id[:200]!r} in the index", "ids are paths below its folder")
            rows.append(entry.row)
        return self.index.vectors.stored[np.array(rows, dtype=np.int64)].astype(np.float32)

    def best(self, query: np.ndarray, wanted: Wanted) -> Found:
        """The pictures closest to a unit vector ``(d,)``, float32."""
        background = self.sample.background(query)
        allowed = self._allowed(wanted.where) if wanted.where else None
        total = len(self.index.vectors) if allowed is None else int(np.count_nonzero(allowed))
        if total == 0:
            return Found((), 0, background)
        gone = [entry.row for id in wanted.exclude if (entry := self.index.entries.find(id)) is not None]
        rows, cosines = best_rows(self.store, self.index.vectors, query, wanted.k, allowed, gone)
        values = scores(cosines, background)
        kept = slice(None) if wanted.min_score is None else values >= wanted.min_score
        return Found(self._hits(rows[kept], cosines[kept], values[kept]), total, background)

    def close(self) -> None:
        """Let go of store and index."""
        self.store.close()
        self.index.close()

    def _allowed(self, where: tuple[str, ...]) -> np.ndarray:
        """Which rows ``(N,)`` meet all conditions."""
        known = self.allowed_rows.get(where)
        if known is None:
            known = self.index.entries.select([filters.parse(each) for each in where])
            kept = list(self.allowed_rows.items())[1 - KEPT_CONDITIONS :]
            self.allowed_rows = {**dict(kept), where: known}
        return known

    def _hits(self, rows: np.ndarray, cosines: np.ndarray, values: np.ndarray) -> tuple[Hit, ...]:
        folder, entries = self.index.config.folder, self.index.entries.get(rows.tolist())
        return tuple(
            Hit(entry.id, os.path.join(folder, entry.path), score, cosine, entry.metadata)
            for entry, score, cosine in zip(entries, values.tolist(), cosines.tolist(), strict=True)
        )
