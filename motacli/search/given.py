"""Features of pictures that caches hold already, for an index to take instead of encoding the pictures again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from motacli.cache import CacheOptions, FeatureCache
from motacli.cache.building import require_computed
from motacli.cache.fingerprints import difference, named
from motacli.errors import DataError
from motacli.search.config import IndexConfig
from motacli.search.contents import Contents
from motacli.search.scanning import Seen


@dataclass(frozen=True, eq=False)
class Taken:
    """A cache whose rows are asked for by digest of the picture instead of its id."""

    cache: FeatureCache
    ids: Mapping[str, str]

    def features(self, digests: Sequence[str]) -> np.ndarray:
        """Features ``(n, d)``, float32."""
        return self.cache.features([self.ids[digest] for digest in digests])


@dataclass(frozen=True)
class Given:
    """Complete caches that `mota cache` wrote of the index's folder, whole or in shards; ids are paths below it."""

    caches: tuple[FeatureCache, ...] = ()

    @classmethod
    def open(cls, paths: Sequence[Path], config: IndexConfig) -> Given:
        """Caches whose features are those that the index ``config`` would have; `DataError` for others."""
        caches = tuple(FeatureCache(path) for path in paths)
        for cache in caches:
            _require_alike(cache, config)
        return cls(caches)

    def contents(self, sources: Mapping[str, Seen]) -> Contents:
        """Of contents by digest those that a cache has, under the id of their picture.

        A picture that was changed after its cache was complete is not taken from there. Raises `DataError` where two
        caches have the same picture, or none has any.
        """
        found: dict[str, Taken] = {}
        for cache in self.caches:
            known, complete_ns = set(cache.ids), _nanoseconds(cache.created)
            ids = {digest: s.id for digest, s in sources.items() if s.id in known and s.mtime_ns <= complete_ns}
            if both := next((digest for digest in ids if digest in found), None):
                first = found[both].cache.path
                raise DataError(f"{first} and {cache.path} both have {ids[both]!r}", "give files of different pictures")
            found |= dict.fromkeys(ids, Taken(cache, ids))
        if sources and self.caches and not found:
            self._say_none(next(iter(sources.values())))
        return Contents(found, taken=len(found))

    def _say_none(self, seen: Seen) -> None:
        cache = self.caches[0]
        some = repr(cache.ids[0]) if len(cache) else "none"
        raise DataError(
            f"of the pictures to index none is in {cache.path} as it is: its first id is {some}, the folder has "
            f"{seen.id!r}",
            "make features of the same folder: `mota cache FOLDER --out FILE`; pictures changed since are not taken",
        )


def _require_alike(cache: FeatureCache, config: IndexConfig) -> None:
    if cache.fingerprint != config.fingerprint:
        raise DataError(
            f"the features in {cache.path} come from another backbone, {named(cache.backbone, cache.fingerprint)}, not "
            f"{named(config.backbone, config.fingerprint)}{difference(cache.header.made_of, config.made_of)}",
            "give the --model, --pretrained, --precision and --preprocess they were made with, or make them again",
        )
    if cache.normalised:
        raise DataError(f"the features in {cache.path} have lost their lengths", "make them with `mota cache`")
    require_computed(cache, CacheOptions())
    if (cache.header.dtype, config.dtype) == ("float16", "float32"):
        raise DataError(f"the features in {cache.path} are float16", "build an index of them with --dtype fp16")


def _nanoseconds(created: str) -> int:
    """The end of the second in which a cache was complete."""
    return (int(datetime.fromisoformat(created).timestamp()) + 1) * 10**9
