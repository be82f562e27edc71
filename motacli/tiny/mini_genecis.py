"""The mini GeneCIS: four tasks with a terse condition and a small gallery of its own for each query.

The object tasks use whole pictures. The attribute tasks use regions: each file holds two scenes side by side, and the
instance's box is placed so that GeneCIS's own crop (which grows it to the left and top) cuts out one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motacli.tiny import edits, grammar
from motacli.tiny.disk import save_pictures
from motacli.tiny.mini import OPEN, write_json, write_modifications
from motacli.tiny.queries import Source, TinyQuery, drifted, like_both, like_reference, like_text
from motacli.tiny.renderer import SIZE, render
from motacli.tiny.world import CONTEXT, TEXTURES, Attr, Scenes, redraw, sample_scenes, valid

GALLERY = {"change_attribute": 15, "focus_attribute": 10, "change_object": 15, "focus_object": 15}
HARD = 3
BOX = [27, 27, 38, 38]
"""x, y, width, height: grown by 0.7 to the left and top it is one 64-pixel scene."""


@dataclass(frozen=True)
class Case:
    """A condition, the reference, the target and wrong candidates, as scenes.

    ``right`` tests whether a scene would also do. ``kind`` is the modification type, ``focus`` where nothing is to
    change.
    """

    condition: str
    reference: Scenes
    target: Scenes
    hard: list[Scenes]
    right: Callable[[Scenes], bool]
    kind: str = "focus"


def _single(source: Source, with_second: bool | None = None) -> Scenes:
    while True:
        scenes = sample_scenes(source.numbers, 16, source.split)
        ok = scenes[:, Attr.COUNT] == 0
        if with_second is not None:
            ok &= (scenes[:, Attr.SHAPE2] > 0) == with_second
        if ok.any():
            return scenes[ok][0]


def _query(kind: str, reference: Scenes, source: Source) -> TinyQuery | None:
    edit = edits.apply((kind,), reference, source.numbers, source.split)
    if edit is None:
        return None
    target = drifted(edit.target, edit.attrs, source, OPEN)
    wanted = np.array([target[a] if a not in CONTEXT or a in edit.attrs else -1 for a in Attr], dtype=np.int8)
    return TinyQuery(edit, reference, target, wanted, "")


def _from_query(query: TinyQuery, condition: str, source: Source) -> Case:
    hard = [like_reference(query, source), like_both(query, source), *(like_text(query, source) for _ in range(3))]
    wanted = query.wanted

    def right(scene: Scenes) -> bool:
        return bool(np.all((wanted < 0) | (wanted == scene)))

    return Case(condition, query.reference, query.target, hard, right, query.kind)


def change_attribute(source: Source) -> Case | None:
    """ "green": the same thing, but green."""
    kind = source.words.choice(("colour", "texture"))
    query = _query(kind, _single(source), source)
    if query is None:
        return None
    if kind == "colour":
        condition = grammar.colour_word(int(query.target[Attr.COLOUR]), source.words)
    else:
        condition = source.words.choice(grammar.TEXTURE_ADJECTIVES[TEXTURES[query.target[Attr.TEXTURE]]])
    return _from_query(query, condition, source)


def change_object(source: Source) -> Case | None:
    """ "star": the same scene, with a star added or in the second object's place."""
    reference = _single(source)
    query = _query("second" if reference[Attr.SHAPE2] > 0 else "addition", reference, source)
    if query is None:
        return None
    return _from_query(query, grammar.noun(int(query.target[Attr.SHAPE2]) - 1, source.words), source)


def focus_attribute(source: Source) -> Case | None:
    """ "colour": another thing of the reference's colour."""
    attr, condition = source.words.choice(((Attr.COLOUR, "colour"), (Attr.TEXTURE, "texture"), (Attr.SHAPE, "shape")))
    others = [a for a in Attr if a is not attr and a is not Attr.COUNT]
    return _focus(source, _single(source, with_second=False), (attr,), others, condition)


def focus_object(source: Source) -> Case | None:
    """ "star": another picture with the reference's star; the rest does not matter."""
    reference = _single(source, with_second=True)
    kept = (Attr.SHAPE, Attr.COLOUR, Attr.TEXTURE)
    others = [a for a in Attr if a not in (*kept, Attr.COUNT)]
    return _focus(source, reference, kept, others, grammar.noun(int(reference[Attr.SHAPE]), source.words))


def _focus(
    source: Source, reference: Scenes, kept: tuple[Attr, ...], others: Sequence[Attr], condition: str
) -> Case | None:
    target = redraw(source.numbers, reference, others, source.split)
    if target is None or not any(target[a] != reference[a] for a in others):
        return None
    hard = []
    for _ in range(HARD):
        change = [*kept, source.words.choice(others)] if source.words.random() < 0.5 else [source.words.choice(kept)]
        wrong = redraw(source.numbers, reference, change, source.split)
        if wrong is not None and not _shares(wrong, reference, kept):
            hard.append(wrong)
    return Case(condition, reference, target, hard, lambda s: _shares(s, reference, kept))


def _shares(scene: Scenes, reference: Scenes, kept: tuple[Attr, ...]) -> bool:
    return all(scene[a] == reference[a] for a in kept)


TASKS: dict[str, Callable[[Source], Case | None]] = {
    "focus_attribute": focus_attribute,
    "change_attribute": change_attribute,
    "focus_object": focus_object,
    "change_object": change_object,
}


def write_genecis(root: Path, seed: int, split: str, queries: int = 150, others: int = 300) -> None:
    """All four tasks: object pictures below ``coco2017/val2017``, attribute pictures below ``Visual_Genome/VG_All``.

    ``others`` scenes of each task are there to be wrong candidates.
    """
    kinds: dict[str, list[str]] = {}
    for stream, (task, draw) in enumerate(TASKS.items()):
        source = Source.seeded(seed, split, 30 + stream)
        pool = list(sample_scenes(source.numbers, others, source.split))
        cases: list[Case] = []
        while len(cases) < queries:
            case = draw(source)
            if case is not None and valid(case.target[None], split)[0]:
                cases.append(case)
        _write_task(root, task, cases, pool, source, first_id=100_000 * (stream + 1))
        kinds[f"genecis_{task}"] = [case.kind for case in cases]
    write_modifications(root, kinds)


def _write_task(root: Path, task: str, cases: list[Case], pool: list[Scenes], source: Source, first_id: int) -> None:
    scenes, entries = list(pool), []
    for case in cases:
        base = len(scenes)
        hard = [scene for scene in case.hard if not case.right(scene)]
        scenes += [case.reference, case.target, *hard]
        wrong = [i for i in source.numbers.permutation(len(pool)).tolist() if not case.right(pool[i])]
        picked = [*range(base + 2, base + 2 + len(hard)), *wrong][: GALLERY[task] - 1]
        source.words.shuffle(picked)
        entries.append((case.condition, base, base + 1, picked))
    pixels = render(np.stack(scenes), source.numbers)
    locate = _save_regions if task.endswith("attribute") else _save_whole
    where = locate(root, pixels, first_id)
    rows = [
        {"condition": c, "reference": where[r], "target": where[t], "gallery": [where[i] for i in g]}
        for c, r, t, g in entries
    ]
    write_json(root / "genecis" / f"{task}.json", rows)


def _save_whole(root: Path, pixels: np.ndarray, first_id: int) -> list[dict[str, Any]]:
    folder = root / "coco2017" / "val2017"
    save_pictures((folder / f"{first_id + i:012d}.jpg", picture) for i, picture in enumerate(pixels))
    return [{"val_image_id": first_id + i} for i in range(len(pixels))]


def _save_regions(root: Path, pixels: np.ndarray, first_id: int) -> list[dict[str, Any]]:
    if len(pixels) % 2:
        pixels = np.concatenate([pixels, pixels[:1]])
    pairs = np.concatenate([pixels[0::2], pixels[1::2]], axis=2)
    folder = root / "Visual_Genome" / "VG_All"
    save_pictures((folder / f"{first_id + i}.jpg", picture) for i, picture in enumerate(pairs))
    x, y, w, h = BOX
    return [{"image_id": first_id + i // 2, "instance_bbox": [x + SIZE * (i % 2), y, w, h]} for i in range(len(pixels))]
