"""Small copies of pictures by content: made once, whatever a picture is called and wherever it goes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from PIL import Image, ImageOps

from motacli.console import Progress
from motacli.contracts import ImageRef
from motacli.datasets import open_image
from motacli.encoding import ahead
from motacli.errors import DataError
from motacli.runs import explained, partial_path
from motacli.search.index import THUMBNAILS, thumbnail_file
from motacli.search.scanning import Seen

QUALITY = 80


def make_thumbnails(
    path: Path, folder: Path, contents: Mapping[str, Seen], pixels: int, workers: int, progress: Progress
) -> None:
    """Thumbnails, ``pixels`` on the longer side, of contents by digest, those left out that are there already.

    EXIF orientation is applied. A picture that cannot be read gets none.
    """
    left = [(digest, seen) for digest, seen in contents.items() if not thumbnail_file(path, digest).is_file()]
    made = ahead(partial(_make, path, folder, pixels), left, workers, 64)
    with closing(made):
        for _ in progress.track(made, "thumbnails", len(left)):
            pass


def drop_thumbnails(path: Path, kept: set[str]) -> None:
    """Remove the thumbnails of contents that no picture has any more, and what a kill left half written."""
    with explained(path / THUMBNAILS):
        for file in (path / THUMBNAILS).glob("*/*"):
            if file.suffix != ".webp" or file.stem not in kept:
                file.unlink(missing_ok=True)
        for folder in (path / THUMBNAILS).glob("*"):
            with suppress(OSError):  # where it is not empty
                folder.rmdir()


def _make(path: Path, folder: Path, pixels: int, content: tuple[str, Seen]) -> None:
    digest, seen = content
    file = thumbnail_file(path, digest)
    with explained(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(DataError):  # it changed since it was encoded, which the next update finds out
            picture = ImageOps.exif_transpose(open_image(ImageRef(seen.id, folder / seen.id)))
            picture.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
            picture.save(partial_path(file), "WEBP", quality=QUALITY)
            partial_path(file).replace(file)
