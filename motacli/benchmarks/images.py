"""Where a benchmark's pictures are: folders and file endings differ between releases, ids do not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from motacli.contracts import EvalUnit, ImageRef
from motacli.errors import DataError

SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG")


@dataclass(frozen=True)
class ImageFolder:
    """Paths of pictures below ``base``, decided by one listing per folder rather than a look-up per picture."""

    base: Path
    _listings: dict[Path, frozenset[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def first(cls, candidates: Iterable[Path], contains: str = "") -> ImageFolder:
        """The first candidate that has the sub-folder ``contains``; the first of all where no picture is installed."""
        folders = list(candidates)
        return cls(next((folder for folder in folders if (folder / contains).is_dir()), folders[0]))

    def find(self, name: str) -> Path:
        """``base/name`` as a file that exists, with another ending if need be; as it is where there is none."""
        path = self.base / name
        present = self._listing(path.parent)
        stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
        choices = [path.name, *(stem + suffix for suffix in SUFFIXES)]
        return path.with_name(next((choice for choice in choices if choice in present), path.name))

    def _listing(self, folder: Path) -> frozenset[str]:
        if folder not in self._listings:
            self._listings[folder] = names_in(folder)
        return self._listings[folder]


def missing_images(unit: EvalUnit) -> list[ImageRef]:
    """The pictures of a unit whose files do not exist, in the unit's order."""
    listings: dict[Path, frozenset[str]] = {}
    missing = []
    for image in unit.images.values():
        folder = image.path.parent
        if folder not in listings:
            listings[folder] = names_in(folder)
        if image.path.name not in listings[folder]:
            missing.append(image)
    return missing


def require_images(unit: EvalUnit) -> None:
    """Refuse a unit with missing pictures: leaving them out would change what is measured without a word."""
    missing = missing_images(unit)
    if missing:
        raise DataError(
            f"{unit.name}: {len(missing)} of {len(unit.images)} pictures are missing, the first is {missing[0].path}",
            "`mota data check` lists them and where to get them, `--drop-broken` goes on without and records it",
        )


def names_in(folder: Path) -> frozenset[str]:
    """The names in a folder, none where there is no such folder; `DataError` for one that may not be read."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}", "the image folder has to be readable") from error
