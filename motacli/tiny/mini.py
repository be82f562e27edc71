"""The four mini benchmarks, written in the on-disk formats of FashionIQ, CIRR, CIRCO and GeneCIS.

`motacli.benchmarks` reads them with the very loaders that read the real ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motacli.tiny import edits, grammar
from motacli.tiny.disk import save_pictures
from motacli.tiny.queries import Rules, Source, TinyQuery, draw_query, drifted, like_reference, like_text, near_target, worded
from motacli.tiny.renderer import render
from motacli.tiny.world import CONTEXT, SHAPES, Attr, Scenes, sample_scenes, satisfies

CATEGORIES = {
    "dress": ("triangle", "heart", "flower", "bowtie"),
    "shirt": ("square", "cross", "star", "diamond"),
    "toptee": ("circle", "ring", "moon", "arrow"),
}
FASHION = Rules(
    kinds=("colour", "texture", "size", "shape", "style", "addition", "background", "negation"),
    context=(Attr.POSITION, Attr.BACKGROUND, Attr.PATTERN, Attr.STYLE),
    rich=0.0,
    conjunctions=0.0,
)
OPEN = Rules()
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


def write_fashioniq(root: Path, seed: int, split: str, queries: int = 150) -> None:
    """Three categories of garments, that is shapes; two captions a query; the reference stays in the gallery."""
    for stream, (category, shapes) in enumerate(CATEGORIES.items()):
        source = Source.seeded(seed, split, stream)
        entries, scenes = _fashion_category(source, [SHAPES.index(s) for s in shapes], queries)
        names = [f"B{stream + 1}{seed % 1000:03d}{number:05d}" for number in range(len(scenes))]
        pixels = render(np.stack(scenes), source.numbers)
        save_pictures((root / "images" / f"{name}.png", picture) for name, picture in zip(names, pixels, strict=True))
        captions = [{"target": names[t], "candidate": names[c], "captions": said} for t, c, said in entries]
        write_json(root / "captions" / f"cap.{category}.val.json", captions)
        write_json(root / "image_splits" / f"split.{category}.val.json", sorted(names))


def _fashion_category(
    source: Source, shapes: Sequence[int], queries: int
) -> tuple[list[tuple[int, int, list[str]]], list[Scenes]]:
    scenes: list[Scenes] = []
    entries: list[tuple[int, int, list[str]]] = []
    while len(entries) < queries:
        reference = _garment(source, shapes)
        query = draw_query(FASHION, source, reference)
        captions = [query.text]
        if source.words.random() < 0.6:
            second = draw_query(FASHION, source, query.edit.target)
            kinds = (query.edit.kinds[0], second.edit.kinds[0])
            if set(query.edit.attrs) & set(second.edit.attrs) or second.target[Attr.SHAPE] not in shapes:
                continue
            query = worded(edits.Edit(kinds, reference, second.edit.target), second.target, FASHION, source)
            captions.append(second.text)
        else:
            captions.append(edits.rich_phrase(query.edit, source.words, source.split, query.target)[0])
        if query.target[Attr.SHAPE] not in shapes:
            continue
        source.words.shuffle(captions)
        distractor = (like_reference, like_text, near_target)[len(entries) % 3](query, source)
        entries.append((len(scenes) + 1, len(scenes), captions))
        scenes += [reference, query.target, distractor]
    return entries, scenes


def _garment(source: Source, shapes: Sequence[int]) -> Scenes:
    while True:
        scenes = sample_scenes(source.numbers, 24, source.split)
        fitting = scenes[np.isin(scenes[:, Attr.SHAPE], shapes) & (scenes[:, Attr.COUNT] == 0)]
        if len(fitting):
            return fitting[0]


def write_cirr(root: Path, seed: int, split: str, sets: int = 110) -> None:
    """Sets of six look-alikes: a picture and five edits of it; two edits and two ways back are asked for."""
    source = Source.seeded(seed, split, 10)
    scenes, wanted = np.empty((0, len(Attr)), np.int8), np.empty((0, len(Attr)), np.int8)
    groups: list[tuple[list[TinyQuery], list[tuple[int, int]]]] = []
    while len(groups) < sets:
        group = _look_alikes(source)
        if group is None:
            continue
        members, asked, pairs = group
        new = np.stack([query.wanted for query in asked])
        if satisfies(scenes, new).any() or satisfies(members, wanted).any():
            continue
        if (satisfies(members, new).sum(1) != 1).any():
            continue
        scenes, wanted = np.concatenate([scenes, members]), np.concatenate([wanted, new])
        groups.append((asked, pairs))
    names = [f"dev-{seed}-{number // 6}-img{number % 6}" for number in range(len(scenes))]
    pixels = render(scenes, source.numbers)
    save_pictures((root / "dev" / f"{name}.png", picture) for name, picture in zip(names, pixels, strict=True))
    entries = []
    for number, (asked, pairs) in enumerate(groups):
        members = names[6 * number : 6 * number + 6]
        for query, (reference, target) in zip(asked, pairs, strict=True):
            entries.append(
                {
                    "pairid": 12000 + len(entries),
                    "reference": members[reference],
                    "target_hard": members[target],
                    "target_soft": {members[target]: 1.0},
                    "caption": query.text,
                    "img_set": {
                        "id": number, "members": members, "reference_rank": reference, "target_rank": target,
                    },
                }  # fmt: skip
            )
    write_json(root / "cirr" / "captions" / "cap.rc2.val.json", entries)
    write_json(root / "cirr" / "image_splits" / "split.rc2.val.json", {name: f"./dev/{name}.png" for name in names})


def _look_alikes(source: Source) -> tuple[Scenes, list[TinyQuery], list[tuple[int, int]]] | None:
    base = sample_scenes(source.numbers, 1, source.split)[0]
    queries = [draw_query(OPEN, source, base) for _ in range(5)]
    members = np.stack([base, *(query.target for query in queries)])
    asked, pairs = queries[:2], [(0, 1), (0, 2)]
    for number in (3, 4):
        there = queries[number - 1]
        back = tuple({"addition": "removal", "removal": "addition"}.get(k, k) for k in there.edit.kinds)
        edit = edits.Edit(back, members[number], base)
        asked.append(worded(edit, base, OPEN, source))
        pairs.append((number, 0))
    return members, asked, pairs


def write_circo(root: Path, seed: int, split: str, queries: int = 220, others: int = 500) -> None:
    """Several ground truths a query, found by checking every picture of the gallery."""
    source = Source.seeded(seed, split, 20)
    asked, first, scenes = [], [], []
    for _ in range(queries):
        query = draw_query(OPEN, source)
        fixed = [attr for attr in Attr if query.wanted[attr] >= 0]
        more = [drifted(query.target, fixed, source, OPEN) for _ in range(int(source.numbers.integers(0, 5)))]
        first.append(len(scenes))
        scenes += [query.reference, query.target, *more]
        scenes += [like_reference(query, source), like_text(query, source), near_target(query, source)]
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


BENCHMARKS = ("fashioniq", "cirr", "circo", "genecis")
__all__ = ["BENCHMARKS", "CONTEXT", "write_circo", "write_cirr", "write_fashioniq"]
