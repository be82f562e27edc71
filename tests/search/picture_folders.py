"""Folders of small pictures, and how many of them a backbone encodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image


def draw(path: Path, seed: int, width: int = 20, height: int = 16) -> Path:
    """A random picture of its own for every seed; the folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
    return path


def draw_all(folder: Path, count: int, first_seed: int = 0) -> list[Path]:
    """Pictures ``0000.jpg`` and so on, a few hundred in a folder."""
    return [draw(folder / f"{n // 500:02d}" / f"{n:05d}.jpg", first_seed + n) for n in range(count)]


@contextmanager
def counting(backbone: Any) -> Iterator[list[int]]:
    """Inside, the rows of each call of ``encode_image`` of all backbones of that class are written down."""
    rows: list[int] = []
    encode = type(backbone).encode_image

    def counted(self: Any, pixels: Any) -> Any:
        rows.append(len(pixels))
        return encode(self, pixels)

    with patch.object(type(backbone), "encode_image", counted):
        yield rows
