"""Pictures as a backbone wants them, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from motacli.cache.parts import Broken
from motacli.contracts import ImageRef
from motacli.datasets import open_image
from motacli.errors import DataError, MotaError, UsageError

MOST_ELONGATED = 1000
"""How many times as long as wide a picture may be: resized by its short side, a longer one would fill the memory.

Pillow refuses what has more than 178,956,970 pixels, twice `PIL.Image.MAX_IMAGE_PIXELS`, before decoding it.
"""

Prepare = Callable[[Image.Image], Tensor]
"""A picture to what the encoder wants: `motacli.contracts.Backbone.preprocess`, or as much of it as can be pickled."""

_UNFIT = (ValueError, RuntimeError, OSError, MemoryError)


@dataclass(frozen=True)
class Decoded:
    """A row of the source: its picture as a tensor ``(3, H, W)``, or the ``error`` in place of one."""

    ref: ImageRef
    caption: str | None
    pixels: Tensor | None = None
    error: MotaError | None = None

    @property
    def broken(self) -> Broken:
        """The record of a picture that could not be read."""
        message = self.error.message if self.error else ""
        return Broken(self.ref.id, self.ref.place, message.removeprefix(f"cannot decode {self.ref.place}: "))


Row = tuple[ImageRef, str | None]
"""A picture of the source, and its caption."""

Decoder = Callable[[Iterable[Row], int], Generator[Decoded, None, None]]
"""The pictures of rows in their order, so many at a time at most; closing the iterator ends who works on them."""


def decode(prepare: Prepare, ref: ImageRef, caption: str | None, file: bytes | DataError | None = None) -> Decoded:
    """Open a picture and prepare it; ``file`` is what was fetched of it before, or why it was not.

    Raises `UsageError` where no picture of the kind can be read: a package is missing.
    """
    if isinstance(file, DataError):
        return Decoded(ref, caption, error=file)
    try:
        image = open_image(ref, file)
        if is_elongated(image):
            width, height = image.size
            raise DataError(f"{width}×{height} pixels are more than {MOST_ELONGATED} times as long as wide")
        return Decoded(ref, caption, prepare(image))
    except UsageError:
        raise
    except MotaError as error:
        return Decoded(ref, caption, error=error)
    except _UNFIT as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return Decoded(ref, caption, error=DataError(f"cannot prepare {ref.place}: {said}"))


def is_elongated(image: Image.Image) -> bool:
    """Whether a picture is longer than `MOST_ELONGATED` allows."""
    return max(image.size) > MOST_ELONGATED * min(image.size)
