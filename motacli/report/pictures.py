"""Pictures inside the page, as data URIs."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO

from motacli.contracts import ImageRef
from motacli.datasets import open_image

LARGEST = 256
SMALL = 96
"""Pictures up to this size keep their pixels: PNG, enlarged by the browser."""


def picture(image: ImageRef, alt: str) -> str:
    """An ``<img>`` with the picture inside it. Raises `motacli.errors.DataError` where it cannot be read."""
    pixels = open_image(image)
    pixels.thumbnail((LARGEST, LARGEST))
    width, height = pixels.size
    small = max(width, height) <= SMALL
    buffer = BytesIO()
    if small:
        pixels.save(buffer, "PNG", optimize=True)
    else:
        pixels.save(buffer, "JPEG", quality=82, optimize=True)
    uri = f"data:image/{'png' if small else 'jpeg'};base64,{b64encode(buffer.getvalue()).decode('ascii')}"
    look = ' class="pixels"' if small else ""
    return f'<img src="{uri}" alt="{escape(alt)}" width="{width}" height="{height}"{look} decoding="async">'
