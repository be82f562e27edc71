"""What a cache holds and what made it; of an unfinished one, how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motacli.cache.broken import read_broken
from motacli.cache.holding import read_holder
from motacli.cache.manifest import read_manifest
from motacli.cache.reading import FeatureCache
from motacli.cache.work import MANIFEST, PLAN, read_plan, say_unfinished
from motacli.runs import partial_path


@dataclass(frozen=True)
class Description:
    """``pictures`` are those of the finished file; ``finished`` of ``wanted`` rows are done of what is under way."""

    file: Path
    state: str
    backbone: str
    fingerprint: str
    made_of: Mapping[str, str]
    computed: Mapping[str, str]
    dim: int
    dtype: str
    layout: str
    shard: str = ""
    format: int = 0
    normalised: bool = False
    pictures: int = 0
    captions: int = 0
    skipped: int = 0
    megabytes: float = 0.0
    created: str = ""
    mota: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    parts: int = 0
    finished: int = 0
    wanted: int = 0
    built_by: str = ""


def describe(path: Path) -> Description:
    """The description of a cache by its name; `DataError` where there is neither a finished nor an unfinished one."""
    work = partial_path(path)
    if path.exists():
        return _finished(path)
    if not (work / PLAN).is_file():
        say_unfinished(path)
    plan = read_plan(work)
    return Description(
        file=path,
        state="unfinished",
        backbone=plan.backbone,
        fingerprint=plan.fingerprint,
        made_of=plan.made_of,
        computed=plan.computed,
        dim=plan.joint_dim,
        dtype=plan.dtype,
        layout=plan.layout,
        shard=plan.shard,
        **_under_way(path),
    )


def _finished(path: Path) -> Description:
    cache = FeatureCache(path, check=False)
    header, under_way = cache.header, _under_way(path)
    return Description(
        file=path,
        state="complete, more under way" if under_way else "complete",
        backbone=header.backbone,
        fingerprint=header.fingerprint,
        made_of=header.made_of,
        computed=header.computed,
        dim=header.joint_dim,
        dtype=header.dtype,
        layout=header.layout,
        shard=header.shard,
        format=header.format,
        normalised=header.normalised,
        pictures=header.count,
        captions=header.count if cache.has_captions else 0,
        skipped=len(read_broken(path)),
        megabytes=round(path.stat().st_size / 1e6, 1),
        created=header.created,
        mota=header.mota,
        versions=header.versions,
        **under_way,
    )


def _under_way(path: Path) -> dict[str, Any]:
    work = partial_path(path)
    if not (work / PLAN).is_file():
        return {}
    parts = read_manifest(work / MANIFEST)
    finished = sum(part.stop - part.start for part in parts if part.kind == "images")
    holder = read_holder(path.with_name(f"{path.name}.lock"))
    by = "" if holder is None or holder.is_gone() else str(holder)
    return {"parts": len(parts), "finished": finished, "wanted": read_plan(work).rows, "built_by": by}
