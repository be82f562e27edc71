"""What happens to a picture before the backbone's own transform: nothing (``clip``) or padding (``targetpad``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

RATIO = 1.25


def unchanged(image: Image.Image) -> Image.Image:
    """The picture itself: resize and centre crop follow."""
    return image


def target_pad(image: Image.Image) -> Image.Image:
    """Pad the short side with black until the sides' ratio is about 1.25, so that the centre crop loses less.

    The rule of SEARLE and Pic2Word: each end gets ``floor((long / 1.25 - short) / 2)`` pixels.
    """
    across, down = target_padding(*image.size)
    if not across and not down:
        return image
    padded = Image.new(image.mode, (image.width + 2 * across, image.height + 2 * down))
    padded.paste(image, (across, down))
    return padded


def target_padding(width: int, height: int) -> tuple[int, int]:
    """How many pixels `target_pad` adds to each end, across and down."""
    if max(width, height) / min(width, height) < RATIO:
        return 0, 0
    scaled = max(width, height) / RATIO
    return int(max(scaled - width, 0) // 2), int(max(scaled - height, 0) // 2)


PREPROCESSINGS: dict[str, Callable[[Image.Image], Image.Image]] = {"clip": unchanged, "targetpad": target_pad}


@dataclass(frozen=True)
class Preparation:
    """All that makes a picture what an image encoder wants, without the encoder: small, and picklable if its parts are.

    ``before`` is one of `PREPROCESSINGS`, ``transform`` the backbone's own.
    """

    before: Callable[[Image.Image], Image.Image]
    transform: Callable[[Image.Image], Tensor]

    def __call__(self, image: Image.Image) -> Tensor:
        """A picture to a normalised float tensor ``(3, H, W)``."""
        return self.transform(self.before(image))
