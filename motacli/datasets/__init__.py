"""Image-text data sets as streams of `ImageText`, and the pixels behind an `ImageRef`.

`open_source` opens any kind; a new format is a class or function with a row in `motacli.datasets.formats`.
"""

from __future__ import annotations

from motacli.datasets.captions import read_captions
from motacli.datasets.folder import open_pictures
from motacli.datasets.opening import open_any, open_source
from motacli.datasets.pixels import attribute_box, image_bytes, kept_bytes, open_image, pad_to_square, picture_exists

__all__ = [
    "attribute_box",
    "image_bytes",
    "kept_bytes",
    "open_any",
    "open_image",
    "open_pictures",
    "open_source",
    "pad_to_square",
    "picture_exists",
    "read_captions",
]
