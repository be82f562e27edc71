"""Pictures inside the page, as data URIs."""

from __future__ import annotations

import base64
from functools import lru_cache
from html import escape
from io import BytesIO

from motacli.contracts import ImageRef
from motacli.datasets import open_image

LARGEST = 256
SMALL = 96
"""Pictures up to this size keep their pixels: PNG, enlarged by the browser."""


def picture(image: ImageRef, alt: str) -> str:
    """An ``<img>`` with the picture inside it."""
    uri, width, height, small = _data_uri(image)
    look = ' class="pixels"' if small else ""
    return f'<img src="{uri}" alt="{escape(alt)}" width="{width}" height="{height}"{look} decoding="async">'


@lru_cache(maxsize=2048)
def _data_uri(image: ImageRef) -> tuple[str, int, int, bool]:
    """The picture as a URI, its width and height, and whether it is small."""
    pixels = open_image(image)
    pixels.thumbnail((LARGEST, LARGEST))
    small = max(pixels.size) <= SMALL
    buffer = BytesIO()
    if small:
        pixels.save(buffer, "PNG", optimize=True)
    else:
        pixels.save(buffer, "JPEG", quality=82, optimize=True)
    kind = "png" if small else "jpeg"
    uri = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return uri, *pixels.size, small
