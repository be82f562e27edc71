"""Draws tiny-world scenes: signed-distance shapes on textured backgrounds, vectorised over a batch.

Two pictures of one scene differ: places, sizes, angles, tints and textures are jittered by the random generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from motacli.tiny.world import BACKGROUNDS, COLOURS, POSITIONS, SHAPES, Attr, Scenes

SIZE = 64
Field = NDArray[np.floating[Any]]

RGB = {
    "red": (0.86, 0.12, 0.14), "orange": (1.0, 0.53, 0.05), "yellow": (0.98, 0.88, 0.12), "green": (0.15, 0.62, 0.2),
    "teal": (0.1, 0.72, 0.72), "blue": (0.15, 0.28, 0.86), "purple": (0.5, 0.16, 0.66), "pink": (1.0, 0.55, 0.75),
    "brown": (0.45, 0.26, 0.12), "white": (0.97, 0.97, 0.97), "black": (0.07, 0.07, 0.07), "grey": (0.52, 0.52, 0.52),
}  # fmt: skip
COLOUR_RGB = np.array([RGB[name] for name in COLOURS], dtype=np.float32)
BACKGROUND_RGB = np.array([RGB[name] for name in BACKGROUNDS], dtype=np.float32) * 0.62 + 0.25
PLACES = np.array([(-0.46, 0.0), (0.46, 0.0), (0.0, -0.46), (0.0, 0.46), (0.0, 0.0)], dtype=np.float32)
CORNERS = np.array([(-0.6, -0.6), (0.6, -0.6), (-0.6, 0.6), (0.6, 0.6)], dtype=np.float32)
RADII = np.array([0.28, 0.38, 0.5], dtype=np.float32)
SEVERAL_RADII = np.array([0.22, 0.27, 0.33], dtype=np.float32)
SECOND_RADIUS = 0.27


def _polar(x: Field, y: Field, lobes: int) -> tuple[Field, Field]:
    sector = 2 * np.pi / lobes
    angle = np.abs((np.arctan2(x, -y) + sector / 2) % sector - sector / 2)
    return np.hypot(x, y), angle.astype(np.float32)


def _star(x: Field, y: Field) -> Field:
    radius, angle = _polar(x, y, 5)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    inner = 0.4 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    normal = np.array([inner[1], 1.0 - inner[0]]) / np.hypot(inner[1], 1.0 - inner[0])
    return (u - 1.0) * normal[0] + v * normal[1]


def _flower(x: Field, y: Field) -> Field:
    radius, angle = _polar(x, y, 6)
    petal = np.hypot(radius * np.cos(angle) - 0.62, radius * np.sin(angle)) - 0.34
    hole = 0.2 - radius
    return np.maximum(np.minimum(petal, radius - 0.5), hole)


def _heart(x: Field, y: Field) -> Field:
    side = np.abs(x)
    lobe = np.hypot(side - 0.42, y + 0.3) - 0.47
    body = np.maximum(side * 0.74 + y * 0.67 - 0.56, -y - 0.35)
    return np.minimum(lobe, body)


def _arrow(x: Field, y: Field) -> Field:
    tip = np.maximum(np.abs(x) * 0.75 + (-y) * 0.66 - 0.62, y + 0.05)
    shaft = np.maximum(np.abs(x) - 0.24, np.abs(y - 0.42) - 0.5)
    return np.minimum(tip, shaft)


SHAPE_FIELDS: dict[str, Callable[[Field, Field], Field]] = {
    "circle": lambda x, y: np.hypot(x, y) - 0.88,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) - 0.78,
    "triangle": lambda x, y: np.maximum(np.abs(x) * 0.87 - y * 0.5, y) - 0.48,
    "star": _star,
    "heart": _heart,
    "cross": lambda x, y: np.minimum(
        np.maximum(np.abs(x) - 0.26, np.abs(y) - 0.92), np.maximum(np.abs(x) - 0.92, np.abs(y) - 0.26)
    ),
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.66) - 0.24,
    "diamond": lambda x, y: (np.abs(x) / 0.6 + np.abs(y) - 1.0) * 0.52,
    "moon": lambda x, y: np.maximum(np.hypot(x, y) - 0.92, 0.76 - np.hypot(x - 0.48, y)),
    "arrow": _arrow,
    "flower": _flower,
    "bowtie": lambda x, y: np.maximum(np.abs(x) - 0.92, (np.abs(y) - 0.72 * np.abs(x) - 0.08) * 0.8),
}


@dataclass(frozen=True)
class _Layer:
    """At most one object for each picture of the batch: which pictures have it, and how it looks."""

    rows: NDArray[np.intp]
    shape: NDArray[np.intp]
    colour: NDArray[np.intp]
    texture: NDArray[np.intp]
    centre: Field
    radius: Field


def _layers(scenes: Scenes, rng: Generator) -> list[_Layer]:
    s = scenes.astype(np.intp)
    rows = np.arange(len(s))
    count, several = s[:, Attr.COUNT] + 1, s[:, Attr.COUNT] > 0
    place = PLACES[s[:, Attr.POSITION]] + rng.normal(0, 0.045, (len(s), 2)).astype(np.float32)
    radius = np.where(several, SEVERAL_RADII[s[:, Attr.SIZE]], RADII[s[:, Attr.SIZE]])
    turn = rng.uniform(0, 2 * np.pi, len(s))
    layers = []
    for copy in range(3):
        angle = turn + 2 * np.pi * copy / count
        ring = np.stack([np.cos(angle), np.sin(angle)], 1) * np.where(several, 0.5, 0.0)[:, None]
        keep = rows[count > copy]
        layers.append(_layer(s, keep, Attr.SHAPE, (place + ring)[keep], radius[keep], rng))
    second = rows[s[:, Attr.SHAPE2] > 0]
    layers.append(
        _layer(s, second, Attr.SHAPE2, _second_places(s[second], rng), np.full(len(second), SECOND_RADIUS), rng)
    )
    return layers


def _second_places(scenes: NDArray[np.intp], rng: Generator) -> Field:
    """Opposite the main object, or in a corner where that one is in the middle."""
    opposite = -1.25 * PLACES[scenes[:, Attr.POSITION]]
    across = rng.uniform(-0.3, 0.3, opposite.shape) * (opposite == 0)
    corner = CORNERS[rng.integers(0, 4, len(scenes))]
    middle = (scenes[:, Attr.POSITION] == POSITIONS.index("centre"))[:, None]
    return (np.where(middle, corner, opposite + across) + rng.normal(0, 0.03, opposite.shape)).astype(np.float32)


def _layer(
    s: NDArray[np.intp], rows: NDArray[np.intp], shape: Attr, centre: Field, radius: Field, rng: Generator
) -> _Layer:
    main = shape is Attr.SHAPE
    return _Layer(
        rows=rows,
        shape=s[rows, shape] - (0 if main else 1),
        colour=s[rows, Attr.COLOUR if main else Attr.COLOUR2],
        texture=s[rows, Attr.TEXTURE] if main else np.zeros(len(rows), dtype=np.intp),
        centre=centre.astype(np.float32),
        radius=(radius * rng.uniform(0.92, 1.08, len(rows))).astype(np.float32),
    )


def _texture(kind: NDArray[np.intp], x: Field, y: Field, depth: Field, phase: Field) -> Field:
    """How much of the second tone shows at each point, 0 to 1: object coordinates in pixels, ``depth`` inside it."""
    stripes = np.sin((x + y) * 1.05 + phase) > 0
    dots = np.hypot((x + phase) % 5.4 - 2.7, (y + phase) % 5.4 - 2.7) < 1.65
    checks = ((x + phase) % 8 < 4) ^ ((y + phase) % 8 < 4)
    border = depth < 2.6
    empty = np.zeros_like(stripes)
    choice = kind[:, None, None]
    return np.select([choice == 1, choice == 2, choice == 3, choice == 4], [stripes, dots, checks, border], empty)


def _paint(canvas: Field, layer: _Layer, cartoon: NDArray[np.bool_], rng: Generator) -> None:
    if not len(layer.rows):
        return
    half = SIZE / 2
    grid = (np.arange(SIZE, dtype=np.float32) + 0.5 - half) / half
    dx = grid[None, None, :] - layer.centre[:, 0, None, None]
    dy = grid[None, :, None] - layer.centre[:, 1, None, None]
    angle = rng.normal(0, 0.14, len(layer.rows)).astype(np.float32)[:, None, None]
    x = (dx * np.cos(angle) + dy * np.sin(angle)) / layer.radius[:, None, None]
    y = (dy * np.cos(angle) - dx * np.sin(angle)) / layer.radius[:, None, None]
    distance = np.empty(x.shape, dtype=np.float32)
    for index, name in enumerate(SHAPES):
        of_shape = layer.shape == index
        if of_shape.any():
            distance[of_shape] = SHAPE_FIELDS[name](x[of_shape], y[of_shape])
    pixels = layer.radius[:, None, None] * half
    distance = distance * pixels
    tint = COLOUR_RGB[layer.colour] + rng.normal(0, 0.03, (len(layer.rows), 3)).astype(np.float32)
    second = np.where(tint.mean(1, keepdims=True) > 0.45, tint * 0.42, tint * 0.45 + 0.5)
    phase = rng.uniform(0, 8, len(layer.rows)).astype(np.float32)[:, None, None]
    mix = _texture(layer.texture, x * pixels, y * pixels, -distance, phase)[..., None]
    paint = tint[:, None, None] * (1 - mix) + second[:, None, None] * mix
    outline = (cartoon[layer.rows][:, None, None] & (np.abs(distance) < 0.9))[..., None]
    paint = np.where(outline, 0.03, paint)
    cover = np.clip(0.5 - distance + 0.6 * outline[..., 0], 0, 1)[..., None]
    canvas[layer.rows] = canvas[layer.rows] * (1 - cover) + paint * cover


def _backdrop(scenes: Scenes, rng: Generator) -> Field:
    n = len(scenes)
    base = BACKGROUND_RGB[scenes[:, Attr.BACKGROUND]] + rng.normal(0, 0.025, (n, 3)).astype(np.float32)
    grid = np.linspace(-1, 1, SIZE, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi, (n, 1, 1)).astype(np.float32)
    along = grid[None, None, :] * np.cos(angle) + grid[None, :, None] * np.sin(angle)
    spots = np.repeat(np.repeat(rng.random((n, SIZE // 2, SIZE // 2)) < 0.16, 2, 1), 2, 2)
    kind = scenes[:, Attr.PATTERN][:, None, None]
    lines = np.sign(np.sin(along * 16 + angle)) * 0.1
    shade = np.select([kind == 1, kind == 2, kind == 3], [along * 0.3, lines, np.where(spots, -0.22, 0.03)], 0.0)
    return (base[:, None, None] + shade[..., None]).astype(np.float32)


def _finish(canvas: Field, style: NDArray[np.int8], rng: Generator) -> NDArray[np.uint8]:
    light = 1.0 + 0.08 * np.linspace(1, -1, SIZE, dtype=np.float32)[None, :, None, None]
    canvas = np.where((style == 0)[:, None, None, None], canvas * light, canvas)
    canvas = np.where((style == 2)[:, None, None, None], canvas * np.float32(0.48), canvas)
    strength = np.where(style == 3, 0.11, 0.012).astype(np.float32)[:, None, None, None]
    canvas = canvas + strength * rng.standard_normal(canvas.shape, dtype=np.float32)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)


def render(scenes: Scenes, rng: Generator, chunk: int = 128) -> NDArray[np.uint8]:
    """Scenes ``(N, A)`` to RGB pictures ``(N, 64, 64, 3)``, uint8."""
    out = np.empty((len(scenes), SIZE, SIZE, 3), dtype=np.uint8)
    for start in range(0, len(scenes), chunk):
        part = scenes[start : start + chunk]
        canvas = _backdrop(part, rng)
        cartoon = part[:, Attr.STYLE] == 1
        for layer in _layers(part, rng):
            _paint(canvas, layer, cartoon, rng)
        out[start : start + chunk] = _finish(canvas, part[:, Attr.STYLE], rng)
    return out
