"""CIRCO (Baldrati et al., ICCV 2023): several ground truths per query over all of COCO 2017 unlabeled, scored by mAP@K.

The gallery and its order come from COCO's own image list and the reference stays in the ranking. ``R@K`` looks at the
annotated target alone. Ground truths of ``test`` are secret: its server takes the rankings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from motacli.benchmarks.annotations import Entry, locate, read_entries, read_json, unique
from motacli.benchmarks.images import ImageFolder
from motacli.benchmarks.protocol import ProtocolFiles, find_choice
from motacli.benchmarks.submission_format import SubmissionFile, SubmissionFormat
from motacli.contracts import EvalUnit, ImageRef, Query

FOLDERS = ("", "circo/", "CIRCO/")
COCO_FOLDERS = ("COCO2017_unlabeled/", "")
KEYS = frozenset(
    {"id", "reference_img_id", "relative_caption", "shared_concept", "target_img_id", "gt_img_ids", "semantic_aspects"}
)
HINT = "git clone https://github.com/miccunifi/CIRCO and give its folder as the data root"
COCO_HINT = "unpack '2017 Unlabeled images' and its annotations from cocodataset.org into COCO2017_unlabeled/"

SUBMISSION = SubmissionFormat(
    files=(SubmissionFile("circo", 50),),
    queries={"test": 800, "val": 220},
    server="circo.micc.unifi.it",
    ids="integers",
    keys="counted",
    fewer=True,
)


class CIRCO(ProtocolFiles):
    """Units ``circo_val`` and ``circo_test``; the queries' tags are CIRCO's semantic aspects."""

    name = "circo"
    headline = "mAP@10"
    tags_name = "semantic"
    images_hint = "unpack '2017 Unlabeled images' from cocodataset.org into COCO2017_unlabeled/unlabeled2017/"
    splits: tuple[str, ...] = ("val", "test")
    parts: tuple[str, ...] = ()
    submission = SUBMISSION

    def load(self, root: Path, split: str | None = None, parts: Sequence[str] = ()) -> list[EvalUnit]:
        """Read ``annotations/<split>.json`` and ``COCO2017_unlabeled/`` below ``root``."""
        split, annotations = self._annotations(root, split, parts)
        list_name = "annotations/image_info_unlabeled2017.json"
        list_file = locate(annotations.parent.parent, (f"{top}{list_name}" for top in COCO_FOLDERS), COCO_HINT)
        return [self._unit(annotations, split, _images(list_file), list_file)]

    def load_with_gallery(
        self, root: Path, split: str | None, parts: Sequence[str], gallery: Sequence[str], where: Path
    ) -> list[EvalUnit]:
        """The same with a gallery from elsewhere, the file ``where``, in place of COCO's list; no picture is located.

        Without ids the gallery is what the annotations name, which is enough to score ready rankings.
        """
        split, annotations = self._annotations(root, split, parts)
        ids = gallery or _annotated(read_entries(annotations))
        unit = self._unit(annotations, split, {id: ImageRef(id, Path(f"{id:0>12}.jpg")) for id in ids}, where)
        return [replace(unit, images={})]

    def _annotations(self, root: Path, split: str | None, parts: Sequence[str]) -> tuple[str, Path]:
        split = find_choice("circo split", split or "val", self.splits)
        for part in parts:
            find_choice("part of circo", part, self.parts)
        return split, locate(root, (f"{top}annotations/{split}.json" for top in FOLDERS), HINT)

    def _unit(self, annotations: Path, split: str, images: Mapping[str, ImageRef], list_file: Path) -> EvalUnit:
        entries = [entry.only(KEYS) for entry in read_entries(annotations)]
        public = split == "val" or any("gt_img_ids" in entry for entry in entries)
        queries = tuple(_query(entry, images, list_file, public) for entry in entries)
        unique([query.id for query in queries], annotations, "id")
        unit = EvalUnit(
            name=f"{self.name}_{split}",
            benchmark=self.name,
            split=split,
            queries=queries,
            gallery=tuple(images),
            images=images,
            metrics=(),
        )
        return self.protocol().apply(unit)

    def averages(self, units: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """None: CIRCO has one unit."""
        return {}


def _annotated(entries: Sequence[Entry]) -> list[str]:
    """Every image that a query names."""
    named = [
        (entry.id("reference_img_id"), *(entry.ids("gt_img_ids") if "gt_img_ids" in entry else ())) for entry in entries
    ]
    return list(dict.fromkeys(id for ids in named for id in ids))


def _images(path: Path) -> dict[str, ImageRef]:
    listed = Entry.of(read_json(path, COCO_HINT), path, "top level").children("images")
    if not listed:
        raise Entry(path, "'images'", {}).error("the gallery is empty", COCO_HINT)
    ids = unique([str(entry.integer("id")) for entry in listed], path, "image")
    folder = ImageFolder(path.parent.parent / "unlabeled2017")
    return {id: ImageRef(id, folder.find(entry.text("file_name"))) for id, entry in zip(ids, listed, strict=True)}


def _query(entry: Entry, gallery: Mapping[str, ImageRef], list_file: Path, public: bool) -> Query:
    (reference,) = entry.among("reference_img_id", (entry.id("reference_img_id"),), gallery, list_file)
    return Query(
        id=str(entry.integer("id")),
        reference=reference,
        captions=(entry.text("relative_caption"),),
        targets=_targets(entry, gallery, list_file) if public else (),
        tags=entry.texts("semantic_aspects") if "semantic_aspects" in entry else (),
        concept=entry.text("shared_concept") if "shared_concept" in entry else "",
    )


def _targets(entry: Entry, gallery: Mapping[str, ImageRef], list_file: Path) -> tuple[str, ...]:
    """Every ground truth, the annotated target first."""
    truths = entry.among("gt_img_ids", entry.ids("gt_img_ids"), gallery, list_file)
    target = entry.id("target_img_id")
    if target not in truths:
        raise entry.error(f"'target_img_id' {target} is not among 'gt_img_ids'")
    if (reference := entry.id("reference_img_id")) in truths:
        raise entry.error(f"'gt_img_ids' names {reference!r}, the query's own reference")
    return (target, *(truth for truth in truths if truth != target))
