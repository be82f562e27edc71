"""The pictures of rows as they lie on the disk, for models that are shown them."""

from __future__ import annotations

import base64
import re

from motacli.contracts import ImageRef
from motacli.datasets import image_bytes as image_bytes
from motacli.errors import DataError

_KINDS = {
    rb"\x89PNG\r\n": "png",
    rb"\xff\xd8\xff": "jpeg",
    rb"GIF8[79]a": "gif",
    rb"RIFF....WEBP": "webp",
    rb"BM....\0\0\0\0": "bmp",
}
"""How the files of each kind begin."""


def data_uri(ref: ImageRef) -> str:
    """A picture as a ``data:`` URI; `DataError` for what is no PNG, JPEG, GIF, WebP or BMP."""
    data = image_bytes(ref)
    kind = next((kind for start, kind in _KINDS.items() if re.match(start, data, re.DOTALL)), None)
    if kind is None:
        raise DataError(f"{ref.place} is no picture that models take", f"known: {', '.join(_KINDS.values())}")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
