"""Pictures as sixels: bands six pixels high, one after another, each colour of a band drawn by itself."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from PIL import Image

COLOURS = 255
_BITS = (1 << np.arange(6))[:, None]


def sixel(picture: Image.Image) -> str:
    """The escape sequence that draws a picture in mode RGB, in at most `COLOURS` colours."""
    reduced = picture.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG)
    width, height = reduced.size
    palette = np.asarray(reduced.getpalette(), dtype=np.float64).reshape(-1, 3)
    pixels = np.full((-(-height // 6) * 6, width), -1)
    pixels[:height] = np.asarray(reduced)
    used = np.unique(pixels[:height])
    colours = "".join(
        f"#{number};2;{';'.join(str(round(part * 100 / 255)) for part in palette[number])}" for number in used.tolist()
    )
    bands = "-".join(_band(pixels[top : top + 6]) for top in range(0, height, 6))
    return f'\x1bPq"1;1;{width};{height}{colours}{bands}\x1b\\'


def _band(rows: np.ndarray) -> str:
    """Six rows of colour numbers ``(6, W)``, -1 for nothing: one line of characters for each colour."""
    return "$".join(
        f"#{number}{_runs((63 + ((rows == number) * _BITS).sum(axis=0)).tolist())}"
        for number in np.unique(rows[rows >= 0]).tolist()
    )


def _runs(codes: list[int]) -> str:
    """Characters with runs of more than three written as ``!count``."""
    parts = []
    for code, run in groupby(codes):
        count = sum(1 for _ in run)
        parts.append(f"!{count}{chr(code)}" if count > 3 else chr(code) * count)
    return "".join(parts)
