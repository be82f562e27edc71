"""Several caches as one: the shards of a source, or what was encoded apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from motacli.cache.asking import Shard
from motacli.cache.broken import read_broken, write_broken
from motacli.cache.columns import Columns
from motacli.cache.computed import unlike
from motacli.cache.fingerprints import difference, named
from motacli.cache.finishing import stored_pieces
from motacli.cache.header import Header
from motacli.cache.holding import held
from motacli.cache.putting_together import put_together
from motacli.cache.reading import FeatureCache
from motacli.console import NullProgress, Progress
from motacli.errors import DataError, UsageError, listed
from motacli.hdf5 import text_digest
from motacli.runs import refuse_existing


def merge_caches(paths: Sequence[Path], out: Path, progress: Progress | None = None) -> FeatureCache:
    """Write the rows of all caches to ``out``, in the order of shards or else as given.

    Raises `DataError` where they come from different backbones, a shard is missing, or an id is in two of them.
    """
    if len(paths) < 2:
        raise UsageError("one file is no merger", "give two or more")
    refuse_existing(out)
    with held(out):
        caches = [FeatureCache(path) for path in paths]
        for cache in caches[1:]:
            _require_alike(caches[0], cache)
        caches, source = _in_order(caches)
        _require_distinct(caches)
        header = _header(caches, source)
        progress = progress or NullProgress()

        def pieces(names: Sequence[str]) -> Iterator[Columns]:
            for cache in progress.track(caches, f"merging {' and '.join(names)}"):
                yield from stored_pieces(cache.path, cache.header, names)

        write_broken(out, [one for cache in caches for one in read_broken(cache.path)])
        put_together(out, header, caches[0].has_captions, pieces)
    return FeatureCache(out)


def _require_alike(one: FeatureCache, other: FeatureCache) -> None:
    where = f"{one.path} and {other.path}"
    if one.fingerprint != other.fingerprint:
        said = difference(one.header.made_of, other.header.made_of)
        raise DataError(
            f"{where} come from different backbones, {named(one.backbone, one.fingerprint)} and "
            f"{named(other.backbone, other.fingerprint)}{said}"
        )
    if said := unlike(one.header.computed, other.header.computed):
        raise DataError(f"{where} were computed in different ways: {said}")
    for name in ("dtype", "normalised", "joint_dim"):
        mine, yours = getattr(one.header, name), getattr(other.header, name)
        if mine != yours:
            raise DataError(f"{where} differ in {name}: {mine} and {yours}")
    if one.has_captions != other.has_captions:
        raise DataError(f"only one of {where} has captions")


def _in_order(caches: list[FeatureCache]) -> tuple[list[FeatureCache], str]:
    """Shards by number, with the digest of the source that they are all of; anything else as it is."""
    shards = [Shard.parse(cache.header.shard) if cache.header.shard else None for cache in caches]
    known = [shard for shard in shards if shard is not None]
    sources = {cache.header.source for cache in caches}
    if len(known) < len(caches) or len(sources) > 1 or len({shard.of for shard in known}) > 1:
        return caches, str(text_digest([cache.header.source for cache in caches]).hexdigest())
    numbers = [shard.number for shard in known]
    missing = sorted(set(range(1, known[0].of + 1)) - set(numbers))
    if missing:
        raise DataError(f"shards are missing: {listed([f'{number}/{known[0].of}' for number in missing])}")
    if len(numbers) > len(set(numbers)):
        raise DataError("a shard is given twice", "give each once")
    ordered = sorted(zip(numbers, caches, strict=True), key=lambda pair: pair[0])
    return [cache for _, cache in ordered], sources.pop()


def _require_distinct(caches: Sequence[FeatureCache]) -> None:
    seen: dict[str, Path] = {}
    for cache in caches:
        for id in cache.ids:
            if seen.setdefault(id, cache.path) is not cache.path:
                raise DataError(f"image id {id!r} is in {seen[id]} and in {cache.path}", "each may be in one file only")


def _header(caches: Sequence[FeatureCache], source: str) -> Header:
    return replace(
        caches[0].header,
        format=Header.format,
        source=source,
        shard="",
        layout="single",
        build="",
        count=sum(len(cache) for cache in caches),
        skipped=sum(cache.skipped for cache in caches),
        computed={name: value for cache in caches for name, value in cache.header.computed.items()},
    ).dated()
