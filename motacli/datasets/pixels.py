"""The pixels behind an `ImageRef`, wherever they are."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from motacli.contracts import ImageRef
from motacli.datasets import hub
from motacli.datasets.formats import FORMATS
from motacli.datasets.hub import is_hub
from motacli.datasets.places import is_file, read_bytes
from motacli.errors import DataError
from motacli.remote.urls import is_remote, shown, suffix_of

DILATION = 0.7

# What Pillow's decoders are known to raise on broken files; a bomb is a file that claims an absurd size.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def open_image(ref: ImageRef, file: bytes | None = None) -> Image.Image:
    """The decoded picture in mode RGB, cropped and padded to a square if ``ref.box`` is set.

    ``file`` is what `image_bytes` gives, where it was read before.

    Transparency is dropped, 16-bit greys are scaled to 8 bits, EXIF orientation is not applied (as in CLIP's own
    pipelines). Converting before resizing is what Hugging Face's CLIP processor does; open_clip's transform resizes
    first, which differs for palette and RGBA files only. `DataError` names a file that is missing or cannot be decoded,
    or cannot be had from where it is.
    """
    if file is None and (ref.member or is_remote(ref.path)):
        file = image_bytes(ref)
    try:
        with Image.open(ref.path if file is None else BytesIO(file)) as image:
            image.load()
            region = image if ref.box is None else image.crop(attribute_box(ref.box, image.size))
            picture = as_rgb(region)
    except FileNotFoundError:
        raise DataError(f"no such picture: {ref.path}", f"it belongs to image id {ref.id!r}") from None
    except BROKEN as error:
        empty = _is_empty(ref.path) if file is None else not file
        reason = "the file is empty" if empty else str(error) or type(error).__name__
        raise DataError(
            f"cannot decode {ref.place}: {reason}", "replace the file or take it out of the data"
        ) from error
    return picture if ref.box is None else pad_to_square(picture)


def image_bytes(ref: ImageRef) -> bytes:
    """A picture's file as it is stored, wherever that is; `DataError` where it is missing or cannot be read."""
    if ref.member:
        return kept_bytes(ref)
    try:
        return read_bytes(ref.path)
    except FileNotFoundError:
        raise DataError(f"no such picture: {ref.path}", f"it belongs to image id {ref.id!r}") from None
    except OSError as error:
        raise DataError(f"cannot read {ref.path}: {error.strerror or error}") from error


def kept_bytes(ref: ImageRef) -> bytes:
    """The file of a picture that has a ``member``, from inside of its ``path``; `DataError` where it is not there."""
    if is_hub(ref.path):
        return hub.read_picture(ref.path, ref.member)
    kind = FORMATS.get(suffix_of(ref.path))
    if kind is None or kind.picture is None:
        raise DataError(f"{shown(ref.path)} is no file that pictures are kept in", f"it belongs to image id {ref.id!r}")
    return kind.picture(ref.path, ref.member)


def picture_exists(ref: ImageRef) -> bool:
    """Whether the file is there that holds the picture; of those on the hub that is taken for granted."""
    return is_file(ref.path) or (bool(ref.member) and is_hub(ref.path))


def attribute_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """GeneCIS's crop ``(left, top, right, bottom)`` for a box ``(x, y, w, h)`` in a picture of ``(width, height)``.

    With d = 0.7: ``left = max(0, x - d w)``, ``right = min(width, left + (1 + d) w)``, likewise top and bottom. It
    grows to the left and top only, unless clipped there; that is what the benchmark's numbers were made with. Raises
    `ValueError` where nothing of the box lies in the picture.
    """
    x, y, width, height = box
    left, top = max(0.0, x - DILATION * width), max(0.0, y - DILATION * height)
    right, bottom = min(size[0], left + (1 + DILATION) * width), min(size[1], top + (1 + DILATION) * height)
    if round(right) <= round(left) or round(bottom) <= round(top):
        raise ValueError(f"box {box} leaves nothing of a picture of {size[0]}×{size[1]}")
    return left, top, right, bottom


def pad_to_square(image: Image.Image) -> Image.Image:
    """The picture centred (rounding down) on a black square as large as its longer side."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new(image.mode, (side, side))
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def as_rgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB as `open_image` gives it."""
    if image.mode.startswith("I"):  # Pillow would clip 16-bit values at 255: nearly white
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:  # the same pixels, without Pillow's warning
        image = image.convert("RGBA")
    return image.convert("RGB")


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0
