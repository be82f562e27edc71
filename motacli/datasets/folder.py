"""A folder of pictures, with or without a caption beside each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from motacli.contracts import ImageRef, ImageText
from motacli.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


class FolderSource:
    """Every picture below ``folder`` in order of its path, its caption in a ``.txt`` file of the same name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = sum(1 for _ in _pictures(folder))
        if not self._count:
            raise _no_pictures(folder)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[ImageText]:
        for image in _pictures(self.folder):
            yield ImageText(ImageRef(image.relative_to(self.folder).as_posix(), image), _sidecar(image))


@dataclass(frozen=True)
class PictureFolder:
    """Every picture below ``folder`` in order of its path, without captions; its id is that path."""

    folder: Path

    def __iter__(self) -> Iterator[ImageRef]:
        for path in _pictures(self.folder):
            yield ImageRef(path.relative_to(self.folder).as_posix(), path)


def open_pictures(folder: Path) -> PictureFolder:
    """The pictures below a folder, without captions; `DataError` if there are none."""
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}", "give a folder of pictures")
    if next(_pictures(folder), None) is None:
        raise _no_pictures(folder)
    return PictureFolder(folder)


def first_has_caption(folder: Path) -> bool:
    """Whether there is a caption beside the first picture below a folder; so where there is no picture."""
    first = next(_pictures(folder), None)
    return first is None or first.with_suffix(".txt").is_file()


def _pictures(folder: Path) -> Iterator[Path]:
    """In the order of the paths as text, and no more is held than the names in the folders on the way."""
    with os.scandir(folder) as entries:
        here = sorted(entries, key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False))
    for entry in here:
        if entry.is_dir(follow_symlinks=False):
            yield from _pictures(folder / entry.name)
        elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES and entry.is_file():
            yield folder / entry.name


def _sidecar(image: Path) -> str:
    sidecar = image.with_suffix(".txt")
    try:
        caption = sidecar.read_text("utf-8-sig").strip()
    except FileNotFoundError:
        raise DataError(f"{image}: no caption", f"write it to {sidecar.name} beside the picture") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{sidecar}: not UTF-8 text") from error
    if not caption:
        raise DataError(f"{sidecar}: the caption is empty")
    return caption


def _no_pictures(folder: Path) -> DataError:
    known = ", ".join(sorted(IMAGE_SUFFIXES))
    return DataError(f"{folder}: no pictures in this folder", f"looked for {known}; for tables in it give the files")
