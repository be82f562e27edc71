"""FashionIQ (Wu et al., CVPR 2021): two relative captions per query, three categories scored apart and averaged.

The gallery of a category is its whole split file and the reference stays in the ranking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from motacli.benchmarks.annotations import CUT_HINT, Entry, locate, read_entries, read_json, unique
from motacli.benchmarks.images import ImageFolder
from motacli.benchmarks.protocol import ProtocolFiles, find_choice, mean_over_parts
from motacli.contracts import EvalUnit, ImageRef, Query
from motacli.errors import DataError

FOLDERS = ("", "fashioniq/", "fashion-iq/", "fashionIQ/", "FashionIQ/")
KEYS = frozenset({"candidate", "captions", "target"})
HALVES = ("R@10", "R@50")
HINT = "git clone https://github.com/XiaoxiaoGuo/fashion-iq and give its folder as the data root"


class FashionIQ(ProtocolFiles):
    """Units ``fashioniq_dress``, ``fashioniq_shirt``, ``fashioniq_toptee`` (``..._test`` for split ``test``).

    A query's id is ``reference|target``, or ``reference|index in the file`` where the target is secret.
    """

    name = "fashioniq"
    headline = "R@10"
    images_hint = "images go to images/<ASIN>.jpg; their urls are at github.com/hongwang600/fashion-iq-metadata"
    splits: tuple[str, ...] = ("val", "test")
    parts: tuple[str, ...] = ("dress", "shirt", "toptee")

    def load(self, root: Path, split: str | None = None, parts: Sequence[str] = ()) -> list[EvalUnit]:
        """Read ``captions/`` (or ``json/``) and ``image_splits/`` below ``root``; pictures are ``images/<id>.jpg``."""
        split = find_choice("fashioniq split", split or "val", self.splits)
        chosen = [find_choice("fashioniq category", part, self.parts) for part in parts or self.parts]
        return [self.protocol().apply(_load_category(root, category, split)) for category in chosen]

    def averages(self, units: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """``fashioniq_average``: the plain mean over the three categories, absent unless all three were scored."""
        means = mean_over_parts(self.name, self.parts, units)
        if all(half in means for half in HALVES):
            means["mean_of_" + "_and_".join(HALVES)] = sum(means[half] for half in HALVES) / len(HALVES)
        return {f"{self.name}_average": means} if means else {}


def _load_category(root: Path, category: str, split: str) -> EvalUnit:
    file = f"cap.{category}.{split}.json"
    captions = locate(root, (f"{top}{sub}/{file}" for top in FOLDERS for sub in ("captions", "json")), HINT)
    base = captions.parent.parent
    splits = base / "image_splits" / f"split.{category}.{split}.json"
    gallery = _gallery(splits, read_json(splits, HINT))
    entries = [entry.only(KEYS) for entry in read_entries(captions)]
    public = split == "val" or any("target" in entry for entry in entries)
    ids = frozenset(gallery)
    queries = _told_apart([_query(index, entry, ids, splits, public) for index, entry in enumerate(entries)])
    folder = ImageFolder(base / "images")
    return EvalUnit(
        name=f"fashioniq_{category}" if split == "val" else f"fashioniq_{category}_{split}",
        benchmark="fashioniq",
        split=split,
        queries=queries,
        gallery=gallery,
        images={id: ImageRef(id, folder.find(f"{id}.jpg")) for id in gallery},
        metrics=(),
    )


def _gallery(path: Path, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(id, str) and id for id in value):
        raise DataError(f"{path}: expected a list of image ids", CUT_HINT)
    return unique(value, path, "image")


def _query(index: int, entry: Entry, gallery: frozenset[str], splits: Path, public: bool) -> Query:
    captions = entry.texts("captions")
    if len(captions) != 2:
        raise entry.error(f"'captions' must hold two captions, found {len(captions)}")
    (reference,) = entry.among("candidate", (entry.id("candidate"),), gallery, splits)
    targets = entry.among("target", (entry.id("target"),), gallery, splits) if public else ()
    if reference in targets:
        raise entry.error(f"'target' {reference!r} is the 'candidate' itself")
    return Query(f"{reference}|{targets[0] if targets else index}", reference, captions, targets)


def _told_apart(queries: list[Query]) -> tuple[Query, ...]:
    """Queries about the same pair get ``#2``, ``#3`` behind their ids; the published files have none."""
    seen: Counter[str] = Counter()
    told = []
    for query in queries:
        seen[query.id] += 1
        count = seen[query.id]
        told.append(query if count == 1 else replace(query, id=f"{query.id}#{count}"))
    return tuple(told)
