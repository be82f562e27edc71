"""CIRR (Liu et al., ICCV 2021): open-domain pairs, and a subset of look-alikes ranked for each.

``R@K`` ranks the split without the reference, ``Rsubset@K`` the other members of the query's image set; the target is
``target_hard``. Targets of ``test1`` are secret: its server takes the rankings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from motacli.benchmarks.annotations import Entry, locate, read_entries, read_json, unique
from motacli.benchmarks.images import ImageFolder
from motacli.benchmarks.protocol import ProtocolFiles, find_choice
from motacli.benchmarks.submission_format import SubmissionFile, SubmissionFormat
from motacli.contracts import EvalUnit, ImageRef, Query
from motacli.errors import DataError

FOLDERS = ("cirr/", "", "CIRR/", "cirr/cirr/", "CIRR/cirr/")
KEYS = frozenset({"pairid", "reference", "target_hard", "target_soft", "caption", "img_set"})
HINT = "git clone -b cirr_dataset https://github.com/Cuberick-Orion/CIRR.git cirr, inside the data root"

SUBMISSION = SubmissionFormat(
    files=(
        SubmissionFile("cirr recall", 50, "_recall", header={"version": "rc2", "metric": "recall"}),
        SubmissionFile(
            "cirr recall_subset",
            3,
            "_recall_subset",
            of_subset=True,
            header={"version": "rc2", "metric": "recall_subset"},
        ),
    ),
    queries={"test1": 4148, "val": 4181},
    server="cirr.cecs.anu.edu.au",
    ids="names",
    reference="removed",
    max_bytes=5_000_000,
)


class CIRR(ProtocolFiles):
    """Units ``cirr_val`` and ``cirr_test1``."""

    name = "cirr"
    headline = "R@10"
    images_hint = "images are NLVR2's, on request at lil.nlp.cornell.edu/nlvr; they go to dev/ and test1/"
    splits: tuple[str, ...] = ("val", "test1")
    parts: tuple[str, ...] = ()
    submission = SUBMISSION

    def load(self, root: Path, split: str | None = None, parts: Sequence[str] = ()) -> list[EvalUnit]:
        """Read ``captions/`` and ``image_splits/`` in ``root`` or ``root/cirr``; pictures beside or inside it."""
        split = find_choice("cirr split", split or "val", self.splits)
        for part in parts:
            find_choice("part of cirr", part, self.parts)
        captions = locate(root, (f"{top}captions/cap.rc2.{split}.json" for top in FOLDERS), HINT)
        base = captions.parent.parent
        gallery_file = base / "image_splits" / f"split.rc2.{split}.json"
        files = _gallery(gallery_file)
        entries = [entry.only(KEYS) for entry in read_entries(captions)]
        public = split == "val" or any("target_hard" in entry for entry in entries)
        gallery = tuple(files)
        queries = tuple(_query(entry, files, gallery_file, public) for entry in entries)
        unique([query.id for query in queries], captions, "pairid")
        unit = EvalUnit(
            name=f"{self.name}_{split}",
            benchmark=self.name,
            split=split,
            queries=queries,
            gallery=gallery,
            images=_images(root, base, files),
            metrics=(),
        )
        return [self.protocol().apply(unit)]

    def averages(self, units: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """None: the derived mean is a metric of the unit."""
        return {}


def _gallery(path: Path) -> dict[str, str]:
    files = read_json(path, HINT)
    if not isinstance(files, dict) or not files or not all(isinstance(file, str) and file for file in files.values()):
        raise DataError(f"{path}: expected an object of image names and paths", HINT)
    unique(list(files.values()), path, "file")
    return files


def _images(root: Path, base: Path, files: Mapping[str, str]) -> dict[str, ImageRef]:
    first = Path(next(iter(files.values())))
    # Pictures lie beside the annotation folder in most set-ups; never look above the data root itself.
    beside = [base.parent] if base != root else []
    folder = ImageFolder.first([*beside, base, base / "img_raw"], contains=first.parts[0] if first.parts[1:] else "")
    return {id: ImageRef(id, folder.find(file)) for id, file in files.items()}


def _query(entry: Entry, gallery: Mapping[str, str], gallery_file: Path, public: bool) -> Query:
    group = entry.child("img_set")
    members = group.among("members", group.ids("members"), gallery, gallery_file)
    (reference,) = entry.among("reference", (entry.id("reference"),), gallery, gallery_file)
    targets = entry.among("target_hard", (entry.id("target_hard"),), gallery, gallery_file) if public else ()
    if reference not in members:
        raise group.error(f"'members' lacks the reference {reference!r}")
    if targets and (targets[0] == reference or targets[0] not in members):
        raise entry.error(f"'target_hard' {targets[0]!r} has to be a member of the image set other than the reference")
    return Query(
        id=str(entry.integer("pairid")),
        reference=reference,
        captions=(entry.text("caption"),),
        targets=targets,
        subset=tuple(member for member in members if member != reference),
    )
