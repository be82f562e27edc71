"""GeneCIS (Vaze et al., CVPR 2023): four tasks, each query with a small gallery of its own, scored by R@1, R@2, R@3.

A query's gallery is its target followed by the distractors, and that order breaks ties. Object tasks look at whole COCO
val2017 pictures, attribute tasks at boxes in Visual Genome pictures. The reference is not in the query's gallery.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motacli.benchmarks.annotations import Entry, locate, read_entries
from motacli.benchmarks.images import ImageFolder
from motacli.benchmarks.protocol import ProtocolFiles, find_choice, mean_over_parts
from motacli.contracts import EvalUnit, ImageRef, Query

FOLDERS = ("genecis/", "", "genecis/genecis/")
KEYS = frozenset({"condition", "reference", "target", "gallery"})
HINT = "git clone https://github.com/facebookresearch/genecis and give its folder as the data root, or name fewer parts"
COCO = ("coco2017/val2017", "val2017", "coco/val2017", "COCO2017/val2017")
VISUAL_GENOME = ("Visual_Genome/VG_All", "VG_100K_all", "Visual_Genome/VG_100K_all", "VG_All")


class GeneCIS(ProtocolFiles):
    """Units ``genecis_<part>``, one for each of `parts`."""

    name = "genecis"
    headline = "R@1"
    images_hint = "COCO's val2017 goes to coco2017/val2017/, all of Visual Genome 1.2 to Visual_Genome/VG_All/"
    splits: tuple[str, ...] = ("val",)
    parts: tuple[str, ...] = ("focus_attribute", "change_attribute", "focus_object", "change_object")

    def load(self, root: Path, split: str | None = None, parts: Sequence[str] = ()) -> list[EvalUnit]:
        """Read ``genecis/<task>.json`` below ``root``; a unit's gallery is every picture of its task."""
        find_choice("genecis split", split or "val", self.splits)
        chosen = [find_choice("genecis task", part, self.parts) for part in parts or self.parts]
        return [self.protocol().apply(_load_task(root, task)) for task in chosen]

    def averages(self, units: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """``genecis_average``: the plain mean over the four tasks, absent unless all four were scored."""
        means = mean_over_parts(self.name, self.parts, units)
        return {f"{self.name}_average": means} if means else {}


def _load_task(root: Path, task: str) -> EvalUnit:
    path = locate(root, (f"{top}{task}.json" for top in FOLDERS), HINT)
    pictures = _Pictures.of_task(root, path.parent, task)
    images: dict[str, ImageRef] = {}

    def seen(entry: Entry) -> str:
        image = pictures.image(entry)
        return images.setdefault(image.id, image).id

    queries = []
    for index, entry in enumerate(read_entries(path)):
        # The attribute files carry further keys, so only what the object tasks are known to hold is checked.
        if not pictures.boxed:
            entry.only(KEYS)
        reference, target = seen(entry.child("reference")), seen(entry.child("target"))
        distractors = [seen(child) for child in entry.children("gallery")]
        if not distractors:
            raise entry.error("'gallery' holds no distractor")
        if not pictures.boxed and reference in (target, *distractors):
            raise entry.error(f"the reference {reference} is the target or in the gallery itself")
        condition = entry.text("condition")
        queries.append(Query(str(index), reference, (condition,), (target,), candidates=(target, *distractors)))
    return EvalUnit(
        name=f"genecis_{task}",
        benchmark="genecis",
        split="val",
        queries=tuple(queries),
        gallery=tuple(images),
        images=images,
        metrics=(),
    )


@dataclass(frozen=True)
class _Pictures:
    """How one task names its pictures."""

    folder: ImageFolder
    boxed: bool

    @classmethod
    def of_task(cls, root: Path, annotations: Path, task: str) -> _Pictures:
        boxed = task.endswith("_attribute")
        bases = dict.fromkeys((root, annotations, annotations.parent) if annotations != root else (root,))
        names = VISUAL_GENOME if boxed else COCO
        return cls(ImageFolder.first([base / name for base in bases for name in names]), boxed)

    def image(self, entry: Entry) -> ImageRef:
        """The picture an entry points at; boxes in one picture are pictures of their own, told apart by their ids."""
        if not self.boxed:
            number = entry.integer("val_image_id")
            return ImageRef(str(number), self.folder.find(f"{number:012d}.jpg"))
        picture, box = entry.id("image_id"), entry.numbers("instance_bbox")
        if len(box) != 4 or not all(map(math.isfinite, box)) or min(box[2:]) <= 0:
            raise entry.error("'instance_bbox' must be [x, y, width, height] with a positive size")
        x, y, width, height = box
        id = f"{picture}@" + ",".join(f"{value:.12g}" for value in box)
        return ImageRef(id, self.folder.find(f"{picture}.jpg"), (x, y, width, height))
