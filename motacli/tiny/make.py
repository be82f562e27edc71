"""Writes a tiny world to disk: an image-text training set, and the mini benchmarks of one or more splits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol

import numpy as np

from motacli.console import NullProgress, Progress
from motacli.errors import DataError, UnknownNameError
from motacli.runs import explained, partial_path, write_json
from motacli.tiny import grammar
from motacli.tiny.disk import save_pictures
from motacli.tiny.mini import write_circo, write_cirr, write_fashioniq
from motacli.tiny.mini_genecis import write_genecis
from motacli.tiny.renderer import render
from motacli.tiny.world import SPLITS, sample_scenes


class Writer(Protocol):
    """Writes one mini benchmark of a split below ``root``."""

    def __call__(self, root: Path, seed: int, split: str) -> None: ...


WRITERS: dict[str, Writer] = {
    "fashioniq": write_fashioniq,
    "cirr": write_cirr,
    "circo": write_circo,
    "genecis": write_genecis,
}
CAPTION_FILE = "captions.jsonl"
FORMAT = 1


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
    root: Path, seed: int = 0, splits: Sequence[str] = ("train", "test"), progress: Progress | None = None
) -> None:
    """Write ``root/train`` (image-text pairs) and ``root/<split>/<benchmark>`` for the other splits.

    Each part is written beside and renamed when complete, so an interrupted run goes on where it stopped. Raises
    `DataError` where ``root`` holds a world of another seed.
    """
    for split in splits:
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
    stamp = root / "world.json"
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
        if not stamp.exists():
            write_json(stamp, {"seed": seed, "format": FORMAT})
        elif json.loads(stamp.read_text("utf-8")).get("seed") != seed:
            raise DataError(f"{root} holds the tiny world of another seed", "choose another folder, or the same --seed")
        progress = progress or NullProgress()
        for name, write in progress.track(_parts(seed, splits), "drawing the world"):
            _once(root / name, write)
            progress.log(f"ready: {root / name}")


def _parts(seed: int, splits: Sequence[str]) -> list[tuple[str, Callable[[Path], None]]]:
    """The folders of a world and what fills each."""
    parts: list[tuple[str, Callable[[Path], None]]] = []
    for split in splits:
        if split == "train":
            parts.append((split, partial(make_pairs, seed=seed)))
        else:
            parts += [(f"{split}/{name}", partial(writer, seed=seed, split=split)) for name, writer in WRITERS.items()]
    return parts


def _once(final: Path, write: Callable[[Path], None]) -> None:
    if not final.exists():
        work = partial_path(final)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        write(work)
        work.rename(final)
