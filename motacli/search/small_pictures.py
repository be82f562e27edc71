"""Pictures of an index, small and the right way up, for people to look at."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from motacli.datasets.pixels import BROKEN, as_rgb
from motacli.errors import DataError
from motacli.search.index import Index


def small_picture(index: Index, id: str, size: int) -> Image.Image | None:
    """A picture of the index in mode RGB that fits into a square of ``size`` pixels; None where it cannot be shown."""
    entry = index.entries.find(id)
    if entry is None:
        return None
    thumbnail = index.thumbnail(entry)
    if thumbnail is not None and index.config.thumbnails >= size:
        return small_file(thumbnail, size)
    try:
        return small_file(index.picture(entry), size)
    except DataError:
        return None


def small_file(path: Path, size: int) -> Image.Image | None:
    """The same of any file."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (size, size))
            picture = as_rgb(ImageOps.exif_transpose(image))
    except BROKEN:
        return None
    picture.thumbnail((size, size))
    return picture
