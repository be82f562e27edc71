"""One state of an index, open to be searched, and the models that its questions go through."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from motacli.benchmarks.protocol import PromptRule
from motacli.contracts import IndexStore
from motacli.errors import UsageError
from motacli.plugins import PluginHost
from motacli.search import filters
from motacli.search.calibration import Sample, scores
from motacli.search.config import SLOT, IndexConfig
from motacli.search.index import Index
from motacli.search.queries import Composer
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
    """A state of an index. ``users`` searches are going on in it; ``retired``: another state has taken its place."""

    index: Index
    store: IndexStore
    sample: Sample = field(repr=False)
    users: int = 0
    retired: bool = False
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

    def retire(self) -> bool:
        """Say that another state has taken its place, and whether nobody uses it any more."""
        self.retired = True
        return self.users == 0

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


class Composers:
    """The models of an index, loaded when they are first needed and kept for as long as it has the same ones."""

    def __init__(self, host: PluginHost, device: str, plain: bool) -> None:
        self._host, self._device, self._plain = host, device, plain
        self._lock = threading.Lock()
        self._kept: tuple[object, Composer] | None = None

    def of(self, index: Index) -> Composer:
        """The models that ``index`` names; raises what `Index.load_backbone` and the like raise."""
        key = _models(index.config)
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = key, self._load(index)
            return self._kept[1]

    def _load(self, index: Index) -> Composer:
        backbone = index.load_backbone(self._host, self._device)
        inversion = index.load_inversion(self._host, backbone)
        adapter = None if self._plain else index.load_adapter(self._host, backbone, inversion)
        return Composer(backbone, PromptRule(index.config.prompt, SLOT), inversion, adapter)


def _models(config: IndexConfig) -> object:
    inversion, adapter = (config.inversion, config.inversion_digest), (config.adapter, config.adapter_digest)
    return config.fingerprint, inversion, adapter, config.prompt
