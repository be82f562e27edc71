"""Building a cache: list the source, encode what no finished part covers, put the parts together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from motacli.cache.asking import CacheOptions
from motacli.cache.batching import window_rows
from motacli.cache.broken import read_broken, write_broken
from motacli.cache.columns import Columns
from motacli.cache.computed import unlike
from motacli.cache.encoder import Engine, Recipe, in_this_process
from motacli.cache.encoding import Encoding
from motacli.cache.fingerprints import made_of
from motacli.cache.finishing import stored_pieces, virtual_rows, write_single, write_virtual
from motacli.cache.header import Header
from motacli.cache.holding import held
from motacli.cache.listing import Listing, listed
from motacli.cache.parts import Broken, Part
from motacli.cache.reading import FeatureCache
from motacli.cache.work import PLAN, ROWS, Plan, Work, parts_folder, read_plan, remove_work
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone, ImageRef, ImageText
from motacli.errors import DataError, MotaError
from motacli.hdf5 import text_digest
from motacli.runs import explained, partial_path, refuse_existing


def build_cache(
    path: Path,
    backbone: Backbone,
    items: Iterable[ImageRef | ImageText],
    *,
    batch_size: int = 64,
    workers: int = 0,
    progress: Progress | None = None,
    resume: bool = True,
    options: CacheOptions | None = None,
    engine: Engine = in_this_process,
) -> FeatureCache:
    """Encode pictures, and captions where ``items`` have them, into ``path``, which appears when complete.

    Until then finished parts are in the folder ``<name>.partial``, from which the same call goes on; ``resume=False``
    refuses that. A finished cache of just these pictures is left as it is. Rows are in the order of ``items``, each id
    once; what ``options.append`` adds comes behind what is there. Raises `DataError` for ids that are not unique, for
    missing or broken pictures where ``options.strict``, and for what was begun by another backbone, for other rows or
    to be computed in another way; `UsageError` for options that do not work here; `MotaError` where another process
    builds ``path`` or it holds something else. ``engine`` says who encodes: this process, or the workers of
    `motacli.cluster.caching.ray_engine`; any of them goes on with what another began, for the same bits.
    """
    path, progress, options = Path(path), progress or NullProgress(), options or CacheOptions()
    _refuse_in_the_way(path, resume)
    with held(path):
        base = FeatureCache(path) if path.is_file() else None
        if base is not None:
            base.require(backbone)
            require_computed(base, options)
            _clear_leftovers(base)
        adding = base is not None and options.append
        with _listing(path, items, base.ids if base is not None and adding else ()) as listing:
            if listing.more_captions:
                progress.warn(
                    f"{listing.more_captions} further captions of pictures that occur more than once are left out"
                )
            if base is not None and not adding:
                _require_whole(base, listing)
            elif len(listing):
                build = _Build(path, backbone, options, base, engine)
                build.run(listing, batch_size, workers, progress)
            elif base is None:
                raise DataError("there are no pictures to encode")
    return FeatureCache(path)


@dataclass(frozen=True)
class _Build:
    path: Path
    backbone: Backbone
    options: CacheOptions
    base: FeatureCache | None
    engine: Engine

    def run(self, listing: Listing, batch_size: int, workers: int, progress: Progress) -> None:
        """Encode all of a listing, and finish."""
        plan = self._plan(listing, batch_size)
        if self.options.strict:
            listing.require_pictures()
        recipe = Recipe.of(self.options, batch_size, workers, plan.captions, plan.dtype)
        encodes = self.engine(self.backbone, recipe)
        plan = replace(plan, computed={**plan.computed, **encodes.computed})
        encoding = Encoding(Work.begin(self.path, plan), encodes, batch_size, progress)
        encoding.encode_pictures(listing)
        if plan.captions:
            encoding.encode_captions(listing)
        self._finish(encoding.work, listing)
        encoding.work.remove()

    def _plan(self, listing: Listing, batch_size: int) -> Plan:
        source, base, shard = listing.digest(), self.base, self.options.shard
        if base is not None and base.header.format == 1:
            raise DataError(f"{self.path} is of format 1, which nothing is added to", "write it again")
        if base is not None and base.has_captions != listing.has_captions:
            raise DataError(f"{self.path} {'has' if base.has_captions else 'has no'} captions, unlike the new pictures")
        if shard is not None:
            listing.start, listing.stop = shard.rows(listing.total, batch_size, window_rows(batch_size))
            if not len(listing):
                raise DataError(f"shard {shard} of {listing.total} pictures is empty", "use fewer shards")
        return Plan(
            backbone=self.backbone.name,
            fingerprint=self.backbone.fingerprint(),
            joint_dim=self.backbone.joint_dim,
            source=source,
            first=listing.start,
            rows=len(listing),
            captions=listing.has_captions,
            dtype=self.options.dtype if base is None else base.header.dtype,
            layout=self.options.layout if base is None else base.header.layout,
            shard=str(shard or ""),
            base="" if base is None else base.sha256,
            made_of=made_of(self.backbone),
            computed=self.options.computed,
        )

    def _finish(self, work: Work, listing: Listing) -> None:
        parts = work.parts()
        new = sum(part.rows for part in parts if part.kind == "images")
        broken = self._broken(parts, listing)
        if not new and self.base is None:
            raise DataError(
                f"none of {len(listing)} pictures could be read; the first: {broken[0].path}: {broken[0].reason}",
                f"remove {work.folder} once the pictures are in order",
            )
        write_broken(self.path, broken)
        if not new:
            return
        header = self._header(work.plan, new, len(broken))

        def pieces(names: Sequence[str]) -> Iterator[Columns]:
            return self._pieces(work, parts, names)

        whole = work.folder / "whole.h5"
        if work.plan.layout == "single":
            write_single(whole, self.path, header, work.plan.captions, pieces)
        else:
            write_virtual(whole, self.path, header, self._virtual(work.plan, parts), pieces)

    def _broken(self, parts: list[Part], listing: Listing) -> list[Broken]:
        """All broken pictures: of an earlier build those that were not tried again."""
        earlier = read_broken(self.path) if self.base is not None else []
        kept = [one for one in earlier if not listing.known([one.id])]
        return [*kept, *(one for part in parts for one in part.broken)]

    def _header(self, plan: Plan, new: int, skipped: int) -> Header:
        old = self.base.header if self.base is not None else None
        header = old or Header(plan.backbone, plan.fingerprint, plan.joint_dim, plan.made_of, plan.dtype)
        return replace(
            header,
            source=str(text_digest([old.source, plan.source]).hexdigest()) if old else plan.source,
            shard=plan.shard if old is None else old.shard,
            layout=plan.layout,
            build=plan.digest(),
            count=new + (old.count if old else 0),
            skipped=skipped,
            computed={**(old.computed if old else {}), **plan.computed},
        ).dated()

    def _pieces(self, work: Work, parts: list[Part], names: Sequence[str]) -> Iterator[Columns]:
        """The rows that are there already, then those of the parts, which are checked where numbers are asked for."""
        if self.base is not None:
            yield from stored_pieces(self.path, self.base.header, names)
        read = work.read if "features" in names else partial(work.read_some, names=names)
        yield from (read(part) for part in parts if part.rows)

    def _virtual(self, plan: Plan, parts: list[Part]) -> dict[str, list[tuple[str, int]]]:
        folder = parts_folder(self.path).name
        kinds = {"features": "images", **({"text_features": "texts"} if plan.captions else {})}
        return {
            name: [
                *(virtual_rows(self.path, name) if self.base is not None else ()),
                *((f"{folder}/{part.file}", part.rows) for part in parts if part.kind == kind and part.rows),
            ]
            for name, kind in kinds.items()
        }


def require_computed(cache: FeatureCache, options: CacheOptions) -> None:
    """Raise `DataError`, naming what differs, where the features of a cache are not computed as is asked."""
    if said := unlike(cache.header.computed, options.computed):
        raise DataError(
            f"the features in {cache.path} were computed in another way: {said}",
            "ask for the same, or choose another name",
        )


def _refuse_in_the_way(path: Path, resume: bool) -> None:
    if not path.is_file():
        refuse_existing(path)
    work = partial_path(path)
    if work.is_file():
        raise MotaError(f"an unfinished file of an older version is in the way: {work}", "remove it")
    if not resume and (work / PLAN).exists():
        raise MotaError(
            f"an unfinished cache is in the way: {work}", "go on with --resume, remove it or choose another name"
        )


def _clear_leftovers(base: FeatureCache) -> None:
    """Remove the work of a build that was killed after it had finished the file."""
    folder = partial_path(base.path)
    if (folder / PLAN).exists() and read_plan(folder).digest() == base.header.build:
        remove_work(base.path)


def _require_whole(base: FeatureCache, listing: Listing) -> None:
    """Raise `MotaError` unless a finished cache holds all rows of the source, but for those known to be broken."""
    if listing.digest() == base.header.source:
        return
    missing = listing.total - listing.known(base.ids) - listing.known(one.id for one in read_broken(base.path))
    if missing:
        raise MotaError(
            f"{base.path} exists already and lacks {missing} of {listing.total} pictures of the source",
            "--append adds them; or choose another name",
        )


@contextmanager
def _listing(path: Path, items: Iterable[ImageRef | ImageText], but: Iterable[str]) -> Iterator[Listing]:
    """The source's rows, listed in the folder of unfinished work, which is gone where nothing was begun."""
    folder = partial_path(path)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with listed(folder / ROWS, items, but) as listing:
            yield listing
    finally:
        with contextlib.suppress(OSError):  # where it holds finished parts
            folder.rmdir()
