"""A slow builder, for tests that look on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from colour import Colour
from torch import Tensor

from motacli.cache import CacheOptions, build_cache, encoding
from motacli.datasets import open_pictures


class Slow(Colour):
    """Takes its time for every batch."""

    def encode_image(self, pixels: Tensor) -> Tensor:
        time.sleep(0.02)
        return super().encode_image(pixels)


def build_slowly(pictures: Path, out: Path, layout: Any) -> None:
    """What a process of its own does."""
    encoding.PART_ROWS = 4
    options = CacheOptions(layout=layout, strict=False, append=out.exists())
    build_cache(out, Slow(), open_pictures(pictures), batch_size=2, options=options)  # type: ignore[arg-type]
