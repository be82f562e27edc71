"""Writes the tiny world's pictures, several at a time."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image


def save_pictures(items: Iterable[tuple[Path, np.ndarray]]) -> None:
    """Write uint8 pictures ``(H, W, 3)`` as the file name's ending says: PNG as they are, JPEG at high quality."""
    items = list(items)
    for folder in {path.parent for path, _ in items}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_save, items))


def _save(item: tuple[Path, np.ndarray]) -> None:
    path, pixels = item
    picture = Image.fromarray(pixels)
    if path.suffix == ".jpg":
        picture.save(path, quality=95, subsampling=0)
    else:
        picture.save(path, compress_level=1)
