"""Features of the contents that an index does not have yet: encoded once each, and kept until an index has them.

They are in a cache below the folder ``building``, its ids digests. A build that goes on with the same pictures goes on
with the cache; where the pictures are others by now, what was encoded is put aside, and the rest is encoded anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from motacli.cache import CacheOptions, FeatureCache, FinishedPart, build_cache, open_finished
from motacli.cache.asking import DType
from motacli.cache.broken import errors_file, read_broken
from motacli.cache.work import remove_work
from motacli.console import Progress
from motacli.contracts import Backbone, ImageRef
from motacli.errors import DataError
from motacli.runs import explained, write_json
from motacli.search.digests import unchanged
from motacli.search.scanning import Seen

SOURCES, FEATURES = "sources.json", "features.h5"


class Holder(Protocol):
    """Holds features ``(n, d)``, float32, by digest of the picture."""

    def features(self, ids: Sequence[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Contents:
    """Which cache holds the features of a content, by digest, and why others could not be read; ``changed`` are those
    whose file became another one meanwhile. ``taken`` of them come from caches that were there before."""

    caches: Mapping[str, Holder] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    taken: int = 0

    def features(self, digests: Sequence[str], width: int) -> np.ndarray:
        """Features ``(n, d)``, float32, of contents that are there."""
        found = np.zeros((len(digests), width), np.float32)
        rows: dict[Holder, list[int]] = {}
        for row, digest in enumerate(digests):
            rows.setdefault(self.caches[digest], []).append(row)
        for cache, places in rows.items():
            found[places] = cache.features([digests[row] for row in places])
        return found


@dataclass(frozen=True)
class Encoder:
    """How contents are encoded for an index: into ``work``, the pictures being below ``folder``."""

    work: Path
    folder: Path
    backbone: Backbone
    dtype: DType
    batch_size: int
    workers: int
    progress: Progress

    def encode(self, sources: Mapping[str, Seen]) -> Contents:
        """The features of contents, given by digest, each with a picture to read it from.

        Raises what `motacli.cache.build_cache` raises.
        """
        before = _read_sources(self.work / SOURCES)
        if before and before != sources:
            self._put_aside()
        held = self._held(sources)
        left = {digest: seen for digest, seen in sources.items() if digest not in held}
        write_json(self.work / SOURCES, {digest: [s.id, s.size, s.mtime_ns] for digest, s in sources.items()})
        made, broken = self._build(left) if left else ({}, {})
        changed = frozenset(digest for digest, seen in left.items() if not unchanged(self.folder, seen))
        caches = {digest: cache for digest, cache in (held | made).items() if digest not in changed}
        return Contents(caches, broken, changed)

    def _build(self, left: Mapping[str, Seen]) -> tuple[dict[str, FeatureCache], dict[str, str]]:
        path, options = self.work / FEATURES, CacheOptions(dtype=self.dtype, strict=False)
        refs = [ImageRef(digest, self.folder / seen.id) for digest, seen in left.items()]
        how: dict[str, Any] = {"batch_size": self.batch_size, "workers": self.workers, "progress": self.progress}
        try:
            cache = build_cache(path, self.backbone, refs, options=options, **how)
        except DataError:
            if (broken := _all_broken(path)) is None:
                raise
            return {}, broken
        return dict.fromkeys(cache.ids, cache), {one.id: one.reason for one in read_broken(path)}

    def _held(self, sources: Mapping[str, Seen]) -> dict[str, FeatureCache]:
        """What was put aside and is still asked for, from the same files."""
        held: dict[str, FeatureCache] = {}
        for path in sorted(self.work.glob("aside-*.h5")):
            cache, had = FeatureCache(path), _read_sources(path.with_suffix(".json"))
            cache.require(self.backbone)
            held |= {digest: cache for digest in cache.ids if had.get(digest) == sources.get(digest, ...)}
        return held

    def _put_aside(self) -> None:
        """Keep what is encoded of other sources than those asked for now."""
        path, number = self.work / FEATURES, len(list(self.work.glob("aside-*.h5")))
        aside = self.work / f"aside-{number:03d}.h5"
        with explained(path):
            shutil.copyfile(self.work / SOURCES, aside.with_suffix(".json"))
            if path.exists():
                path.replace(aside)
            elif (finished := _finished(path)) is not None and len(finished):
                finished.save(aside)
            remove_work(path)
            errors_file(path).unlink(missing_ok=True)


def _finished(path: Path) -> FinishedPart | None:
    """What is finished of the cache ``path``; None where it was not begun."""
    try:
        return open_finished(path)
    except DataError:
        return None


def _all_broken(path: Path) -> dict[str, str] | None:
    """Why no content at all could be read, if that is what became of a build."""
    found = _finished(path)
    if found is None or len(found) or found.done < found.plan.rows:
        return None
    return {one.id: one.reason for one in found.broken}


def _read_sources(path: Path) -> dict[str, Seen]:
    if not path.is_file():
        return {}
    with explained(path):
        found = json.loads(path.read_text("utf-8"))
    return {digest: Seen(*seen) for digest, seen in found.items()}
