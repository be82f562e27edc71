"""What happens to a picture before the backbone's own transform: nothing (``clip``) or padding (``targetpad``)."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

RATIO = 1.25


def unchanged(image: Image.Image) -> Image.Image:
    """The picture itself: resize and centre crop follow."""
    return image


def target_pad(image: Image.Image) -> Image.Image:
    """Pad the short side with black until the sides' ratio is about 1.25, so that the centre crop loses less.

    The rule of SEARLE and Pic2Word: each end gets ``floor((long / 1.25 - short) / 2)`` pixels.
    """
    width, height = image.size
    if max(width, height) / min(width, height) < RATIO:
        return image
    scaled = max(width, height) / RATIO
    across = int(max(scaled - width, 0) // 2)
    down = int(max(scaled - height, 0) // 2)
    padded = Image.new(image.mode, (width + 2 * across, height + 2 * down))
    padded.paste(image, (across, down))
    return padded


PREPROCESSINGS: dict[str, Callable[[Image.Image], Image.Image]] = {"clip": unchanged, "targetpad": target_pad}
