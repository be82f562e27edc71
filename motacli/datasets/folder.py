"""A folder of pictures, with or without a caption beside each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from motacli.contracts import ImageRef, ImageText
from motacli.datasets.places import is_file, is_folder, read_text
from motacli.errors import DataError
from motacli.remote.urls import beside, is_remote, is_web, name_of, shown

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
            yield ImageText(ImageRef(_id(self.folder, image), image), _sidecar(image))


@dataclass(frozen=True)
class PictureFolder:
    """Every picture below ``folder`` in order of its path, without captions; its id is that path."""

    folder: Path

    def __iter__(self) -> Iterator[ImageRef]:
        for path in _pictures(self.folder):
            yield ImageRef(_id(self.folder, path), path)


def open_pictures(folder: Path) -> PictureFolder:
    """The pictures below a folder, without captions; `DataError` if there are none."""
    if not is_folder(folder):
        raise DataError(f"no such folder: {shown(folder)}", "give a folder of pictures")
    if next(_pictures(folder), None) is None:
        raise _no_pictures(folder)
    return PictureFolder(folder)


def first_has_caption(folder: Path) -> bool:
    """Whether there is a caption beside the first picture below a folder; so where there is no picture."""
    first = next(_pictures(folder), None)
    return first is None or is_file(first.with_suffix(".txt"))


def _pictures(folder: Path) -> Iterator[Path]:
    """In the order of the paths as text, and no more is held than the names in the folders on the way."""
    if is_remote(folder):
        yield from _remote_pictures(folder)
        return
    with os.scandir(folder) as entries:
        here = sorted(entries, key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False))
    for entry in here:
        if entry.is_dir(follow_symlinks=False):
            yield from _pictures(folder / entry.name)
        elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES and entry.is_file():
            yield folder / entry.name


def _remote_pictures(folder: Path) -> Iterator[Path]:
    from motacli.remote.files import entries

    for entry in sorted(entries(folder), key=lambda entry: entry.name + "/" * entry.is_folder):
        if entry.is_folder:
            yield from _remote_pictures(beside(folder, entry.name))
        elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:
            yield beside(folder, entry.name)


def _id(folder: Path, image: Path) -> str:
    below = image.relative_to(folder).as_posix()
    return unquote(below) if is_web(folder) else below


def _sidecar(image: Path) -> str:
    sidecar = image.with_suffix(".txt")
    try:
        caption = read_text(sidecar).strip()
    except FileNotFoundError:
        raise DataError(f"{shown(image)}: no caption", f"write it to {name_of(sidecar)} beside the picture") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(sidecar)}: not UTF-8 text") from error
    if not caption:
        raise DataError(f"{shown(sidecar)}: the caption is empty")
    return caption


def _no_pictures(folder: Path) -> DataError:
    known = ", ".join(sorted(IMAGE_SUFFIXES))
    return DataError(
        f"{shown(folder)}: no pictures in this folder", f"looked for {known}; for tables in it give the files"
    )
