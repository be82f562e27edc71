"""Writes a tiny world to disk: an image-text training set, and the mini benchmarks of one or more splits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np

from motacli.errors import DataError, UnknownNameError
from motacli.tiny import grammar
from motacli.tiny.disk import save_pictures
from motacli.tiny.mini import write_circo, write_cirr, write_fashioniq
from motacli.tiny.mini_genecis import write_genecis
from motacli.tiny.renderer import render
from motacli.tiny.world import SPLITS, sample_scenes

WRITERS: dict[str, Callable[[Path, int, str], None]] = {
    "fashioniq": write_fashioniq,
    "cirr": write_cirr,
    "circo": write_circo,
    "genecis": write_genecis,
}
CAPTION_FILE = "captions.jsonl"


def make_pairs(root: Path, seed: int, split: str = "train", count: int = 4000) -> None:
    """An image-text set: ``images/*.png`` and ``captions.jsonl`` with keys ``image`` and ``caption``.

    Captions are those of a careful describer, as a multimodal LLM's are; the scenes themselves are not written.
    """
    rng, words = np.random.default_rng([seed, 90, SPLITS.index(split)]), Random(f"{seed}-{split}-pairs")
    scenes = sample_scenes(rng, count, split)
    names = [f"{number:06d}" for number in range(count)]
    save_pictures(
        (root / "images" / f"{name}.png", picture) for name, picture in zip(names, render(scenes, rng), strict=True)
    )
    lines = [
        json.dumps({"image": f"images/{name}.png", "caption": grammar.describe(scene, words, grammar.THOROUGH).text})
        for name, scene in zip(names, scenes, strict=True)
    ]
    (root / CAPTION_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_world(
    root: Path, seed: int = 0, splits: Sequence[str] = ("train", "test"), on_part: Callable[[str], None] | None = None
) -> None:
    """Write ``root/train`` (image-text pairs) and ``root/<split>/<benchmark>`` for the other splits.

    Each part is written beside and renamed when complete, so an interrupted run goes on where it stopped. Raises
    `DataError` where ``root`` holds a world of another seed.
    """
    for split in splits:
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
    root.mkdir(parents=True, exist_ok=True)
    stamp = root / "world.json"
    if stamp.exists() and json.loads(stamp.read_text())["seed"] != seed:
        raise DataError(f"{root} holds the tiny world of another seed", "choose another folder, or the same --seed")
    stamp.write_text(json.dumps({"seed": seed, "format": 1}))
    for split in splits:
        if split == "train":
            _once(root / "train", lambda part: make_pairs(part, seed), on_part)
        else:
            for name, writer in WRITERS.items():
                _once(root / split / name, lambda part, w=writer, s=split: w(part, seed, s), on_part)  # type: ignore[misc]


def _once(final: Path, write: Callable[[Path], None], on_part: Callable[[str], None] | None) -> None:
    import shutil

    if not final.exists():
        partial = final.with_name(final.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        partial.rename(final)
    if on_part is not None:
        on_part(f"{final.parent.name}/{final.name}")
