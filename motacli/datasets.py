"""Image-text data sets on disk as streams of `ImageText`, and the pixels behind an `ImageRef`.

A new format is a function ``(path, Columns) -> Iterable[ImageText]`` with a row in `READERS`.
"""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from motacli.contracts import ImageRef, ImageText
from motacli.errors import DataError, did_you_mean
from motacli.shards import ShardSource, find_shards, read_member

IMAGE_COLUMNS = ("image", "filepath", "file_path", "file_name", "filename", "path", "image_path", "image_file", "img")
CAPTION_COLUMNS = ("caption", "text", "title", "sentence", "description")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
DILATION = 0.7

# What Pillow's decoders are known to raise on broken files; a bomb is a file that claims an absurd size.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


# ---------------------------------------------------------------------------------------------- sources


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the image and caption columns; None means whichever of the usual names is there."""

    image: str | None = None
    caption: str | None = None

    def found_in(self, names: Sequence[str], where: str) -> tuple[str, str]:
        """The image and the caption column among ``names``; `DataError` starting with ``where`` if there is none."""
        image = _column(self.image, IMAGE_COLUMNS, names, "image", where)
        return image, _column(self.caption, CAPTION_COLUMNS, names, "caption", where)


def open_source(path: Path, image_column: str | None = None, caption_column: str | None = None) -> Iterable[ImageText]:
    """An image-text data set that can be iterated again and again, and has a length where knowing it is cheap.

    ``path`` is a CSV, TSV or JSONL file whose image paths are relative to the file's folder, a folder with such a file
    named ``captions``, a folder of pictures with a ``.txt`` caption beside each, or WebDataset shards: a ``.tar`` file,
    a folder of them, or a pattern such as ``shard-{000..127}.tar``. Rows are read as they are asked
    for; an image's id is its path as written. Raises `DataError`, here for what is no data set and on iteration for bad
    rows, naming file and line.
    """
    path = Path(path)
    table = _captions_file(path) if path.is_dir() else None
    shards = () if table else find_shards(path)
    if shards:
        return ShardSource(shards)
    if not path.exists():
        raise DataError(f"no such data set: {path}", "give a folder, or a CSV, TSV or JSONL file")
    if path.is_dir() and table is None:
        return FolderSource(path)
    path = table or path
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: unknown kind of data set", f"known: a folder, {', '.join(sorted(READERS))}")
    return reader(path, Columns(image_column, caption_column))


def _captions_file(folder: Path) -> Path | None:
    found = [file for suffix in READERS if (file := folder / f"captions{suffix}").is_file()]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise DataError(f"{folder} holds {names}, and either could be meant", "give the file instead of the folder")
    return found[0] if found else None


class FolderSource:
    """Every picture below ``folder`` in order of its path, its caption in a ``.txt`` file of the same name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._images = [ref.path for ref in open_pictures(folder)]

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[ImageText]:
        for image in self._images:
            sidecar = image.with_suffix(".txt")
            try:
                caption = sidecar.read_text("utf-8-sig").strip()
            except FileNotFoundError:
                raise DataError(f"{image}: no caption", f"write it to {sidecar.name} beside the picture") from None
            except UnicodeDecodeError as error:
                raise DataError(f"{sidecar}: not UTF-8 text") from error
            if not caption:
                raise DataError(f"{sidecar}: the caption is empty")
            yield ImageText(ImageRef(image.relative_to(self.folder).as_posix(), image), caption)


@dataclass(frozen=True, slots=True)
class TableSource:
    """A CSV or TSV file with a header line."""

    path: Path
    columns: Columns = Columns()

    def __iter__(self) -> Iterator[ImageText]:
        rows = _table_rows(self.path)
        where, header = next(rows)
        image, caption = map(header.index, self.columns.found_in(header, where))
        for where, row in rows:
            yield _row(self.path.parent, row[image], row[caption], where)


@dataclass(frozen=True, slots=True)
class JsonlSource:
    """A file with one JSON object per line; blank lines are passed over."""

    path: Path
    columns: Columns = Columns()

    def __iter__(self) -> Iterator[ImageText]:
        names: tuple[str, str] | None = None
        for where, record in _json_rows(self.path):
            names = names or self.columns.found_in(list(record), where)
            for name in names:
                if name not in record:
                    raise DataError(f"{where}: no {name!r} in this row")
            yield _row(self.path.parent, record[names[0]], record[names[1]], where)
        if names is None:
            raise DataError(f"{self.path}: empty file", "it should hold one JSON object per line")


READERS: dict[str, Callable[[Path, Columns], Iterable[ImageText]]] = {
    ".csv": TableSource,
    ".tsv": TableSource,
    ".jsonl": JsonlSource,
    ".ndjson": JsonlSource,
}


def _table_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The header of a CSV or TSV file, then its rows, which are as long; each with where it stands."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = _text(file.readline, path, 1)
        # The .csv files of Pic2Word's training data are separated by tabs.
        delimiter = "\t" if path.suffix.lower() == ".tsv" or "\t" in first else ","
        file.seek(0)
        # TSV proper knows no quoting: a caption may start with a quotation mark there.
        quoting: Literal[0, 3] = csv.QUOTE_NONE if path.suffix.lower() == ".tsv" else csv.QUOTE_MINIMAL
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
        header = _next_row(reader, path)
        if not header:
            raise DataError(f"{path}: empty file", "its first line should name the columns")
        yield f"{path}:1", header
        while (row := _next_row(reader, path)) is not None:
            where = f"{path}:{reader.line_num}"
            if row and len(row) != len(header):
                raise DataError(f"{where}: {len(row)} fields where the header has {len(header)}")
            if row:
                yield where, row


def _next_row(reader: Any, path: Path) -> list[str] | None:
    try:
        row: list[str] | None = _text(lambda: next(reader, None), path, reader.line_num + 1)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}", "is a quotation mark left open?") from error
    return row


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, each with where it stands."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(_lines(file, path), start=1):
            if line.strip():
                where = f"{path}:{number}"
                yield where, _record(line, where)


def _lines(file: Any, path: Path) -> Iterator[str]:
    number = 0
    while line := _text(file.readline, path, number + 1):
        number += 1
        yield line


def _column(asked: str | None, usual: Sequence[str], names: Sequence[str], what: str, where: str) -> str:
    if asked is not None:
        if asked not in names:
            raise DataError(f"{where}: no column {asked!r}", did_you_mean(asked, names))
        return asked
    lowered = {name.strip().lower(): name for name in reversed(names)}
    for candidate in usual:
        if candidate in lowered:
            return lowered[candidate]
    raise DataError(f"{where}: no {what} column among {', '.join(map(repr, names))}", f"say which is the {what} column")


def _text(read: Callable[[], Any], path: Path, line: int) -> Any:
    try:
        return read()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{line}: not UTF-8 text here or a little further on") from error


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not valid JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object")
    return record


def _row(folder: Path, image: object, caption: object, where: str) -> ImageText:
    for what, value in (("image path", image), ("caption", caption)):
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{where}: the {what} is {'empty' if value in ('', None) else repr(value)}, not text")
    return ImageText(ImageRef(str(image), folder / str(image)), str(caption).strip())


def open_pictures(folder: Path) -> list[ImageRef]:
    """Every picture below a folder in order of its path, without captions; its id is that path. `DataError` if none."""
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}", "give a folder of pictures")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not found:
        raise DataError(f"{folder}: no pictures in this folder", f"looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
    return [ImageRef(path.relative_to(folder).as_posix(), path) for path in found]


def read_captions(path: Path, column: str | None = None) -> list[str]:
    """The captions in a text file, one per line, or in a column of a CSV, TSV or JSONL file; blank ones are left out.

    Raises `DataError` for a file that is missing, of another kind, or without captions.
    """
    if not path.is_file():
        raise DataError(f"no such file of captions: {path}", "a text file with one per line, or CSV, TSV or JSONL")
    captions = [caption.strip() for caption in _captions(path, column) if caption.strip()]
    if not captions:
        raise DataError(f"{path} holds no caption", "a text file with one per line, or CSV, TSV or JSONL")
    return captions


def _captions(path: Path, column: str | None) -> Iterator[str]:
    reader = READERS.get(path.suffix.lower())
    if reader is TableSource:
        rows = _table_rows(path)
        where, header = next(rows)
        place = header.index(_column(column, CAPTION_COLUMNS, header, "caption", where))
        yield from (row[place] for _, row in rows)
    elif reader is JsonlSource:
        for where, record in _json_rows(path):
            column = column or _column(None, CAPTION_COLUMNS, list(record), "caption", where)
            if not isinstance(record.get(column), str):
                raise DataError(f"{where}: no text in {column!r}")
            yield record[column]
    else:
        with path.open(encoding="utf-8-sig") as file:
            yield from _lines(file, path)


# ---------------------------------------------------------------------------------------------- pixels


def open_image(ref: ImageRef) -> Image.Image:
    """The decoded picture in mode RGB, cropped and padded to a square if ``ref.box`` is set.

    Transparency is dropped, 16-bit greys are scaled to 8 bits, EXIF orientation is not applied (as in CLIP's own
    pipelines). Converting before resizing is what Hugging Face's CLIP processor does; open_clip's transform resizes
    first, which differs for palette and RGBA files only. `DataError` names a file that is missing or cannot be decoded.
    """
    try:
        with Image.open(BytesIO(read_member(ref.path, ref.member)) if ref.member else ref.path) as image:
            image.load()
            region = image if ref.box is None else image.crop(attribute_box(ref.box, image.size))
            picture = _rgb(region)
    except FileNotFoundError:
        raise DataError(f"no such picture: {ref.path}", f"it belongs to image id {ref.id!r}") from None
    except _BROKEN as error:
        reason = "the file is empty" if _is_empty(ref.path) else str(error) or type(error).__name__
        raise DataError(
            f"cannot decode {ref.place}: {reason}", "replace the file or take it out of the data"
        ) from error
    return picture if ref.box is None else pad_to_square(picture)


def attribute_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """GeneCIS's crop ``(left, top, right, bottom)`` for a box ``(x, y, w, h)`` in a picture of ``(width, height)``.

    With d = 0.7: ``left = max(0, x - d w)``, ``right = min(width, left + (1 + d) w)``, likewise top and bottom. It
    grows to the left and top only, unless clipped there; that is what the benchmark's numbers were made with. Raises
    `ValueError` where nothing of the box lies in the picture.
    """
    x, y, width, height = box
    left, top = max(0.0, x - DILATION * width), max(0.0, y - DILATION * height)
    right, bottom = min(size[0], left + (1 + DILATION) * width), min(size[1], top + (1 + DILATION) * height)
    if round(right) <= round(left) or round(bottom) <= round(top):
        raise ValueError(f"box {box} leaves nothing of a picture of {size[0]}×{size[1]}")
    return left, top, right, bottom


def pad_to_square(image: Image.Image) -> Image.Image:
    """The picture centred (rounding down) on a black square as large as its longer side."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new(image.mode, (side, side))
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow would clip 16-bit values at 255: nearly white
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:  # the same pixels, without Pillow's warning
        image = image.convert("RGBA")
    return image.convert("RGB")


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0
