"""The tiny world's scenes: what can be in a picture, and which combinations each split may show.

A scene is a row of small integers, one per `Attr`; a set of scenes is an int8 array ``(N, len(Attr))``. The pairs of
(shape, colour) are dealt to the splits ``train``, ``val`` and ``test`` so that no object of one split is ever seen in
another: what holds on the test world was not learned by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Scenes = NDArray[np.int8]

SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "cross",
    "ring",
    "diamond",
    "moon",
    "arrow",
    "flower",
    "bowtie",
)
COLOURS = (
    "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "white", "black", "grey",
)  # fmt: skip
TEXTURES = ("plain", "striped", "dotted", "checkered", "bordered")
SIZES = ("small", "medium", "large")
POSITIONS = ("left", "right", "top", "bottom", "centre")
COUNTS = ("one", "two", "three")
BACKGROUNDS = ("white", "black", "grey", "blue", "green", "pink", "yellow", "purple")
PATTERNS = ("even", "fading", "lined", "speckled")
STYLES = ("clean", "cartoon", "dark", "grainy")
SPLITS = ("train", "val", "test")

CENTRE = POSITIONS.index("centre")
BACKGROUND_AS_COLOUR = np.array([COLOURS.index(name) for name in BACKGROUNDS], dtype=np.int8)


class Attr(IntEnum):
    """Columns of a scene. ``SHAPE2`` is 0 for no second object, else 1 + the shape's index."""

    SHAPE = 0
    COLOUR = 1
    TEXTURE = 2
    SIZE = 3
    POSITION = 4
    COUNT = 5
    SHAPE2 = 6
    COLOUR2 = 7
    BACKGROUND = 8
    PATTERN = 9
    STYLE = 10


CARDINALITY: dict[Attr, int] = {
    Attr.SHAPE: len(SHAPES),
    Attr.COLOUR: len(COLOURS),
    Attr.TEXTURE: len(TEXTURES),
    Attr.SIZE: len(SIZES),
    Attr.POSITION: len(POSITIONS),
    Attr.COUNT: len(COUNTS),
    Attr.SHAPE2: len(SHAPES) + 1,
    Attr.COLOUR2: len(COLOURS),
    Attr.BACKGROUND: len(BACKGROUNDS),
    Attr.PATTERN: len(PATTERNS),
    Attr.STYLE: len(STYLES),
}

CONTEXT = (Attr.POSITION, Attr.SIZE, Attr.BACKGROUND, Attr.PATTERN, Attr.STYLE)
"""What drifts between reference and target when the text does not mention it; the rest is the subject."""


def split_of_pairs() -> NDArray[np.int8]:
    """The split of each (shape, colour) pair: ``(12, 12)`` indices into `SPLITS`.

    Each shape has 6 training colours, 2 validation and 4 test colours, and each colour likewise for shapes.
    """
    shape, colour = np.meshgrid(np.arange(len(SHAPES)), np.arange(len(COLOURS)), indexing="ij")
    slot = (5 * shape + 7 * colour) % 12
    return np.select([slot < 6, slot < 8], [0, 1], 2).astype(np.int8)


PAIR_SPLIT = split_of_pairs()


def allowed(split: str) -> NDArray[np.bool_]:
    """Which (shape, colour) pairs a split may show: ``(12, 12)``."""
    return np.equal(PAIR_SPLIT, SPLITS.index(split))


def valid(scenes: Scenes, split: str) -> NDArray[np.bool_]:
    """Which scenes can be drawn legibly and belong to the split: ``(N,)``."""
    pairs = allowed(split)
    s = {attr: scenes[:, attr].astype(np.intp) for attr in Attr}
    has_second = s[Attr.SHAPE2] > 0
    background = BACKGROUND_AS_COLOUR[s[Attr.BACKGROUND]]
    ok = pairs[s[Attr.SHAPE], s[Attr.COLOUR]] & (background != s[Attr.COLOUR])
    ok &= (s[Attr.COUNT] == 0) | ((s[Attr.POSITION] == CENTRE) & ~has_second)
    second_ok = pairs[s[Attr.SHAPE2] - 1, s[Attr.COLOUR2]] & (background != s[Attr.COLOUR2])
    second_ok &= (s[Attr.SHAPE2] - 1 != s[Attr.SHAPE]) & (s[Attr.COLOUR2] != s[Attr.COLOUR])
    return ok & np.where(has_second, second_ok, s[Attr.COLOUR2] == 0)


def _propose(rng: Generator, n: int) -> Scenes:
    scenes = np.stack([rng.integers(0, CARDINALITY[attr], n) for attr in Attr], axis=1).astype(np.int8)
    scenes[:, Attr.COUNT] = rng.choice(len(COUNTS), n, p=(0.76, 0.13, 0.11))
    several = scenes[:, Attr.COUNT] > 0
    scenes[several, Attr.POSITION] = CENTRE
    no_second = several | (rng.random(n) < 0.5)
    scenes[:, Attr.SHAPE2] = rng.integers(1, len(SHAPES) + 1, n)
    scenes[no_second, Attr.SHAPE2] = 0
    scenes[no_second, Attr.COLOUR2] = 0
    return scenes


def sample_scenes(rng: Generator, n: int, split: str) -> Scenes:
    """``n`` random valid scenes of a split."""
    kept: list[Scenes] = []
    have = 0
    while have < n:
        batch = _propose(rng, 8 * (n - have) + 64)
        batch = batch[valid(batch, split)]
        kept.append(batch)
        have += len(batch)
    return np.concatenate(kept)[:n]


def redraw(rng: Generator, scene: Scenes, attrs: Sequence[Attr], split: str, tries: int = 64) -> Scenes | None:
    """A copy of one scene ``(len(Attr),)`` with the given attributes drawn anew (possibly the same values), or None."""
    out = np.repeat(scene[None], tries, axis=0)
    for attr in attrs:
        out[:, attr] = rng.integers(0, CARDINALITY[attr], tries)
    out[out[:, Attr.COUNT] > 0, Attr.POSITION] = CENTRE
    return first_where(out, valid(out, split))


def first_where(scenes: Scenes, ok: NDArray[np.bool_]) -> Scenes | None:
    """The first scene that is ok, or None."""
    return scenes[int(np.argmax(ok))] if ok.any() else None


def satisfies(scenes: Scenes, facts: Scenes) -> NDArray[np.bool_]:
    """Which scenes ``(N, A)`` agree with which facts ``(M, A)``, -1 for "not mentioned": ``(M, N)``."""
    result = np.ones((len(facts), len(scenes)), dtype=bool)
    for attr in Attr:
        said = facts[:, attr][:, None]
        result &= (said < 0) | (said == scenes[:, attr][None, :])
    return result
