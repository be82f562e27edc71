"""A slow builder, for tests that look on: ``python tests/cache/watching.py PICTURES FILE LAYOUT``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from colour import Colour
from torch import Tensor

from motacli.cache import CacheOptions, build_cache, encoding
from motacli.datasets import open_pictures


class Slow(Colour):
    """Takes its time for every batch."""

    def encode_image(self, pixels: Tensor) -> Tensor:
        time.sleep(0.02)
        return super().encode_image(pixels)


if __name__ == "__main__":
    encoding.PART_ROWS = 4
    pictures, out, layout = sys.argv[1:]
    options = CacheOptions(layout=layout, strict=False, append=Path(out).exists())  # type: ignore[arg-type]
    build_cache(Path(out), Slow(), open_pictures(Path(pictures)), batch_size=2, options=options)  # type: ignore[arg-type]
