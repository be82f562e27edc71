"""Pictures inside the page, as data URIs."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO

from PIL import Image

from motacli.contracts import ImageRef
from motacli.datasets import open_image
from motacli.errors import DataError

LARGEST, THUMBNAIL = 256, 160
SMALL = 96
"""Pictures up to this size keep their pixels: PNG, enlarged by the browser."""


def picture(image: ImageRef, alt: str, largest: int = LARGEST) -> str:
    """An ``<img>`` with the picture inside it. Raises `motacli.errors.DataError` where it cannot be read."""
    pixels = open_image(image)
    pixels.thumbnail((largest, largest))
    return embedded(pixels, alt)


def embedded(pixels: Image.Image, alt: str, quality: int = 82) -> str:
    """An ``<img>`` with these pixels inside it, as PNG or, where it is larger than `SMALL`, as JPEG of that quality."""
    width, height = pixels.size
    small = max(width, height) <= SMALL
    buffer = BytesIO()
    if small:
        pixels.save(buffer, "PNG", optimize=True)
    else:
        pixels.save(buffer, "JPEG", quality=quality, optimize=True)
    uri = f"data:image/{'png' if small else 'jpeg'};base64,{b64encode(buffer.getvalue()).decode('ascii')}"
    look = ' class="pixels"' if small else ""
    return f'<img src="{uri}" alt="{escape(alt)}" width="{width}" height="{height}"{look} decoding="async">'


def picture_or_gap(image: ImageRef, alt: str) -> str:
    """The picture, small, or a box with its id where it cannot be read."""
    try:
        return picture(image, alt, THUMBNAIL)
    except DataError:
        return f'<span class="gap" role="img" aria-label="{escape(alt)}, missing">{escape(image.id)}</span>'
