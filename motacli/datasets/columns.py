"""Which columns of a table hold pictures, captions and ids, and what their cells must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from motacli.contracts import ImageRef, ImageText
from motacli.errors import DataError, did_you_mean
from motacli.remote.redaction import without_secrets
from motacli.remote.urls import beside

IMAGE_COLUMNS = ("image", "filepath", "file_path", "file_name", "filename", "path", "image_path", "image_file", "img")
CAPTION_COLUMNS = ("caption", "text", "title", "sentence", "description")
ID_COLUMNS = ("id",)


class Found(NamedTuple):
    """The names of the columns that a table has; ``id`` is None where its rows have no id of their own."""

    image: str
    caption: str
    id: str | None


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the image, caption and id columns; None means whichever of the usual names is there.

    Rows need no ids of their own: an ``id`` of None is satisfied without, and an empty one looks for none.
    """

    image: str | None = None
    caption: str | None = None
    id: str | None = None

    def found_in(self, names: Sequence[str], where: str) -> Found:
        """The columns among ``names``; `DataError` starting with ``where`` if one is missing."""
        image = _column(self.image, IMAGE_COLUMNS, names, "image", where)
        return Found(image, caption_column(self.caption, names, where), self._id_in(names, where))

    def names_in(self, names: Sequence[str], where: str) -> list[str]:
        """The same as a list: of image and caption, and of id if there is one."""
        return [name for name in self.found_in(names, where) if name is not None]

    def _id_in(self, names: Sequence[str], where: str) -> str | None:
        if self.id is None:
            return _usual(ID_COLUMNS, names)
        return _column(self.id, ID_COLUMNS, names, "id", where) if self.id else None


USUAL = Columns()
"""Columns of the usual names."""


def caption_column(asked: str | None, names: Sequence[str], where: str) -> str:
    """The caption column among ``names``: the one that was asked for, or the first usual one."""
    return _column(asked, CAPTION_COLUMNS, names, "caption", where)


def image_at(folder: Path, cell: object, where: str) -> ImageRef:
    """The picture that a cell's path or URL names, relative to ``folder``; its id is that without secrets."""
    text = _text(cell, "image path", where)
    return ImageRef(without_secrets(text), beside(folder, text))


def image_text(image: ImageRef, caption: object, where: str, *own: object) -> ImageText:
    """A row of these cells; ``own`` is the one of its id, left out where there is no such column."""
    return ImageText(image, _text(caption, "caption", where).strip(), *(_id(cell, where) for cell in own))


def _text(cell: object, what: str, where: str) -> str:
    if not isinstance(cell, str) or not cell.strip():
        blank = cell is None or (isinstance(cell, str) and not cell.strip())
        raise DataError(f"{where}: the {what} is {'empty' if blank else f'{_shown(cell)}, not text'}")
    return cell


def _id(cell: object, where: str) -> str:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if not isinstance(cell, str) or not cell.strip():
        blank = cell is None or isinstance(cell, str)
        said = "empty" if blank else f"{_shown(cell)}, neither text nor a whole number"
        raise DataError(f"{where}: the id is {said}", "give every row an id, or name another id column")
    return cell.strip()


def _shown(cell: object, longest: int = 60) -> str:
    text = repr(cell)
    return text if len(text) <= longest else f"{text[:longest]}..."


def _column(asked: str | None, usual: Sequence[str], names: Sequence[str], what: str, where: str) -> str:
    if asked is not None:
        if asked not in names:
            raise DataError(f"{where}: no column {asked!r}", did_you_mean(asked, names))
        return asked
    found = _usual(usual, names)
    if found is None:
        known = ", ".join(map(repr, names))
        raise DataError(f"{where}: no {what} column among {known}", f"say which is the {what} column")
    return found


def _usual(usual: Sequence[str], names: Sequence[str]) -> str | None:
    lowered = {name.strip().lower(): name for name in reversed(names)}
    return next((lowered[name] for name in usual if name in lowered), None)
