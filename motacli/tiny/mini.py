"""The four mini benchmarks, written in the on-disk formats of FashionIQ, CIRR, CIRCO and GeneCIS.

`motacli.benchmarks` reads them with the very loaders that read the real ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motacli.tiny import edits, grammar
from motacli.tiny.disk import save_pictures
from motacli.tiny.queries import (
    Rules,
    Source,
    TinyQuery,
    caption,
    draw_edit,
    draw_query,
    drifted,
    like_both,
    like_reference,
    like_text,
    near_target,
    sibling,
    wanted,
    worded,
)
from motacli.tiny.renderer import render
from motacli.tiny.world import SHAPES, Attr, Scenes, sample_scenes, satisfies

CATEGORIES = {
    "dress": ("triangle", "heart", "flower", "bowtie"),
    "shirt": ("square", "cross", "star", "diamond"),
    "toptee": ("circle", "ring", "moon", "arrow"),
}
FASHION = Rules(
    kinds=("colour", "texture", "size", "shape", "style", "addition", "background", "negation"),
    drift=0.7,
    conjunctions=0.5,
    facts=0.15,
    subject=0.3,
)
OPEN = Rules()
LIFE = Rules(conjunctions=0.6, facts=0.3)
MODIFICATIONS = "modifications.json"
FAMILY = 6
"""Queries in a row whose references share their context and most of their subject, like pictures of one shop."""
ASPECTS = {
    "colour": "compare_change", "shape": "compare_change", "texture": "compare_change", "size": "comparative_statement",
    "position": "spatial_relations_background", "background": "spatial_relations_background",
    "pattern": "spatial_relations_background", "style": "viewpoint", "addition": "addition", "removal": "negation",
    "count": "cardinality", "second": "direct_addressing", "negation": "negation",
}  # fmt: skip


def write_json(path: Path, value: Any) -> None:
    """Write an annotation file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_modifications(root: Path, kinds: Mapping[str, Sequence[str]]) -> None:
    """Write the modification type of each query, by unit and in the order of its annotation file.

    The published formats have no such label; no benchmark loader reads this file, and the demo's report does.
    """
    write_json(root / MODIFICATIONS, kinds)


def write_fashioniq(root: Path, seed: int, split: str, queries: int = 110) -> None:
    """Three categories of garments, that is shapes; two captions a query; the reference stays in the gallery."""
    kinds: dict[str, list[str]] = {}
    for stream, (category, shapes) in enumerate(CATEGORIES.items()):
        source = Source.seeded(seed, split, stream)
        entries, scenes = _fashion_category(source, [SHAPES.index(s) for s in shapes], queries)
        names = [f"B{stream + 1}{seed % 1000:03d}{number:05d}" for number in range(len(scenes))]
        pixels = render(np.stack(scenes), source.numbers)
        save_pictures((root / "images" / f"{name}.png", picture) for name, picture in zip(names, pixels, strict=True))
        captions = [{"target": names[t], "candidate": names[c], "captions": said} for t, c, said, _ in entries]
        kinds[f"fashioniq_{category}"] = [kind for *_, kind in entries]
        write_json(root / "captions" / f"cap.{category}.val.json", captions)
        write_json(root / "image_splits" / f"split.{category}.val.json", sorted(names))
    write_modifications(root, kinds)


def _fashion_category(
    source: Source, shapes: Sequence[int], queries: int
) -> tuple[list[tuple[int, int, list[str], str]], list[Scenes]]:
    scenes: list[Scenes] = []
    entries: list[tuple[int, int, list[str], str]] = []
    like: edits.Edit | None = None
    while len(entries) < queries:
        number = len(entries) % FAMILY
        reference = sibling(scenes[entries[-number][1]], source) if number else _garment(source, shapes)
        drawn = _fashion_query(reference, source, shapes, like if number else None)
        if drawn is None:
            continue
        query, captions = drawn
        like = query.edit
        entries.append((len(scenes) + 1, len(scenes), captions, query.kind))
        more = (make(query, source) for make in (like_text, like_both))
        scenes += [query.reference, query.target, *distractors(query, source), *more]
    return entries, scenes


def distractors(query: TinyQuery, source: Source) -> list[Scenes]:
    """Wrong answers of four kinds: like the reference, like the text, like the sum of both, like the target."""
    return [make(query, source) for make in (like_reference, like_text, like_both, near_target)]


def _fashion_query(
    reference: Scenes, source: Source, shapes: Sequence[int], like: edits.Edit | None
) -> tuple[TinyQuery, list[str]] | None:
    """A query with two captions: of one edit each, or two ways to say the only one."""
    edit = draw_edit(FASHION, source, reference, like)
    if edit is None or edit.target[Attr.SHAPE] not in shapes:
        return None
    target = drifted(edit.target, edit.attrs, source, FASHION)
    parts = [edits.Edit((kind,), edit.source, target) for kind in edit.kinds]
    said = [caption(part, target, FASHION, source) for part in (parts * 2)[:2]]
    captions = [text for text, _ in said]
    source.words.shuffle(captions)
    stated = [attr for _, attrs in said for attr in attrs]
    return TinyQuery(edit, edit.source, target, wanted(target, edit, stated, FASHION), " and ".join(captions)), captions


def _garment(source: Source, shapes: Sequence[int]) -> Scenes:
    while True:
        scenes = sample_scenes(source.numbers, 24, source.split)
        fitting = scenes[np.isin(scenes[:, Attr.SHAPE], shapes) & (scenes[:, Attr.COUNT] == 0)]
        if len(fitting):
            return fitting[0]


@dataclass(frozen=True)
class LookAlikes:
    """A CIRR set of six and six bystanders: scenes ``(12, A)``, the questions, and each one's reference and target."""

    scenes: Scenes
    asked: list[TinyQuery]
    pairs: tuple[tuple[int, int], ...] = ((0, 1), (0, 2), (1, 0))

    def wanted(self) -> Scenes:
        """What right answers show, a row per question."""
        return np.stack([query.wanted for query in self.asked])

    def unambiguous(self) -> bool:
        """Whether each question has one right answer among its own pictures."""
        return bool((satisfies(self.scenes, self.wanted()).sum(1) == 1).all())


def write_cirr(root: Path, seed: int, split: str, sets: int = 100) -> None:
    """Sets of six look-alikes with three queries each; the reference leaves its own ranking."""
    source = Source.seeded(seed, split, 10)
    groups: list[LookAlikes] = []
    scenes, taken = np.empty((0, len(Attr)), np.int8), np.empty((0, len(Attr)), np.int8)
    while len(groups) < sets:
        number = len(groups) % FAMILY
        base = (
            sibling(groups[-number].scenes[0], source) if number else sample_scenes(source.numbers, 1, source.split)[0]
        )
        group = _look_alikes(base, source, groups[-1].asked if number else None)
        if not group.unambiguous() or satisfies(scenes, group.wanted()).any() or satisfies(group.scenes, taken).any():
            continue
        scenes, taken = np.concatenate([scenes, group.scenes]), np.concatenate([taken, group.wanted()])
        groups.append(group)
    names = [f"dev-{seed + number // 6}-{number // 6 % 2}-img{number % 6}" for number in range(len(scenes))]
    pixels = render(scenes, source.numbers)
    save_pictures((root / "dev" / f"{name}.png", picture) for name, picture in zip(names, pixels, strict=True))
    entries = [
        entry for number, group in enumerate(groups) for entry in _cirr_entries(group, number, names[12 * number :][:6])
    ]
    for number, entry in enumerate(entries):
        entry["pairid"] = 12000 + number
    write_json(root / "cirr" / "captions" / "cap.rc2.val.json", entries)
    write_json(root / "cirr" / "image_splits" / "split.rc2.val.json", {name: f"./dev/{name}.png" for name in names})
    write_modifications(root, {"cirr_val": [query.kind for group in groups for query in group.asked]})


def _cirr_entries(group: LookAlikes, number: int, members: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "pairid": number,
            "reference": members[reference],
            "target_hard": members[target],
            "target_soft": {members[target]: 1.0},
            "caption": query.text,
            "img_set": {"id": number, "members": members, "reference_rank": reference, "target_rank": target},
        }
        for query, (reference, target) in zip(group.asked, group.pairs, strict=True)
    ]


def _look_alikes(base: Scenes, source: Source, before: Sequence[TinyQuery] | None) -> LookAlikes:
    """Three questions: two edits of the base, the way back from one; ``before`` is what the previous set asked.

    The set's other pictures, and most bystanders, do what is asked in the reference's context to another subject.
    """
    there = [
        draw_query(LIFE, source, base, like) for like in ([q.edit for q in before[:2]] if before else [None, None])
    ]
    back = tuple({"addition": "removal", "removal": "addition"}.get(k, k) for k in there[0].edit.kinds)
    asked = [*there, worded(edits.Edit(back, there[0].target, base), base, LIFE, source)]
    members = [base, *(query.target for query in there), *(like_both(query, source) for query in asked)]
    bystanders = [make(query, source) for query in there for make in (like_both, like_both, like_reference)]
    return LookAlikes(np.stack(members + bystanders), asked)


def write_circo(root: Path, seed: int, split: str, queries: int = 220, others: int = 500) -> None:
    """Several ground truths a query, found by checking every picture of the gallery."""
    source = Source.seeded(seed, split, 20)
    asked: list[TinyQuery] = []
    first: list[int] = []
    scenes: list[Scenes] = []
    for _ in range(queries):
        query = draw_query(OPEN, source)
        fixed = [attr for attr in Attr if query.wanted[attr] >= 0]
        more = [drifted(query.target, fixed, source, OPEN) for _ in range(int(source.numbers.integers(0, 5)))]
        first.append(len(scenes))
        scenes += [query.reference, query.target, *more]
        scenes += distractors(query, source)
        asked.append(query)
    scenes += list(sample_scenes(source.numbers, others, source.split))
    stacked = np.stack(scenes)
    fits = satisfies(stacked, np.stack([query.wanted for query in asked]))
    ids = (np.sort(source.numbers.choice(580_000, len(stacked), replace=False)) + 1)[
        source.numbers.permutation(len(stacked))
    ].tolist()
    pixels = render(stacked, source.numbers)
    folder = root / "COCO2017_unlabeled"
    save_pictures((folder / "unlabeled2017" / f"{i:012d}.jpg", p) for i, p in zip(ids, pixels, strict=True))
    info = [{"id": i, "file_name": f"{i:012d}.jpg"} for i in sorted(ids)]
    write_json(folder / "annotations" / "image_info_unlabeled2017.json", {"images": info})
    entries = []
    for number, (query, row) in enumerate(zip(asked, first, strict=True)):
        truths = [ids[row + 1]] + [ids[i] for i in np.flatnonzero(fits[number]) if i not in (row, row + 1)]
        aspects = sorted({ASPECTS[kind] for kind in query.edit.kinds})
        if len(query.edit.kinds) > 1 or " and " in query.text:
            aspects.append("statement_with_conjunction")
        entries.append(
            {
                "reference_img_id": ids[row],
                "target_img_id": ids[row + 1],
                "relative_caption": query.text,
                "shared_concept": grammar.article(SHAPES[query.reference[Attr.SHAPE]]),
                "gt_img_ids": truths,
                "semantic_aspects": aspects,
                "id": number,
            }
        )
    write_json(root / "annotations" / "val.json", entries)
    write_modifications(root, {"circo_val": [query.kind for query in asked]})
