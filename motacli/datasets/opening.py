"""From what people write after ``--data`` to a source of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from motacli.contracts import ImageRef, ImageText
from motacli.datasets.columns import Columns
from motacli.datasets.folder import FolderSource, first_has_caption, open_pictures
from motacli.datasets.formats import FORMATS
from motacli.datasets.hub import HubSource, is_hub
from motacli.datasets.joining import joined
from motacli.datasets.patterns import expanded
from motacli.datasets.places import exists, is_file, is_folder
from motacli.datasets.saved import saved_files
from motacli.errors import DataError
from motacli.remote.urls import beside, is_remote, path_of, shown, suffix_of, url_of

CAPTION_FILES = (
    *(f"captions{suffix}" for suffix in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")),
    "chat.json",
)
"""Files through which the folder that holds them is read."""


def open_source(
    path: Path | str,
    image_column: str | None = None,
    caption_column: str | None = None,
    id_column: str | None = None,
) -> Iterable[ImageText]:
    """An image-text data set that can be iterated again and again, and has a length where knowing it is cheap.

    ``path`` is

    - a file of one of `FORMATS`; paths of images in it are relative to its folder,
    - a folder with a file named ``captions``, or LLaVA's ``chat.json``; one that Hugging Face's ``save_to_disk`` wrote;
      of WebDataset shards; of pictures with a ``.txt`` caption beside each,
    - a pattern or a list of these, see `motacli.datasets.patterns`,
    - a data set on the Hugging Face hub, see `motacli.datasets.hub`.

    All but the last may be at a URL that fsspec knows, such as ``s3://bucket/shards-{000..127}.tar``.

    Rows are read as they are asked for, pictures not at all. An image's id is its path as written, or its place if it
    is inside of a file. A row's own id is in the column ``id`` or ``id_column`` (empty: in none), and is the image's
    where there is no such column. Raises `DataError`, here for what is no data set and on iteration for bad rows,
    naming file and line, and `UsageError` where a library is missing.
    """
    columns = Columns(image_column, caption_column, id_column)
    if is_hub(path):
        return HubSource(str(path), columns)
    found = expanded(url_of(path) if is_remote(path) else str(path))
    if len(found) == 1:
        _require(found[0])
    return joined([source for one in found for source in _sources(one, columns)])


def open_any(
    path: Path | str,
    image_column: str | None = None,
    caption_column: str | None = None,
    id_column: str | None = None,
) -> Iterable[ImageText] | Iterable[ImageRef]:
    """As `open_source`, but a folder of pictures is one without captions if the first has none beside it."""
    folder = path_of(path)
    if not is_hub(path) and _is_folder(folder) and not _files_of(folder) and not first_has_caption(folder):
        return open_pictures(folder)
    return open_source(path, image_column, caption_column, id_column)


def _sources(path: Path, columns: Columns) -> list[Iterable[ImageText]]:
    files = _files_of(path) if _is_folder(path) else (path,)
    return [_file_source(file, columns) for file in files] or [FolderSource(path)]


def _files_of(folder: Path) -> Sequence[Path]:
    """The files that a folder is read through; none where it is one of pictures and captions."""
    found = [file for name in CAPTION_FILES if is_file(file := folder / name)]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise DataError(
            f"{shown(folder)} holds {names}, and either could be meant", "give the file instead of the folder"
        )
    return found or saved_files(folder) or _shards(folder)


def _shards(folder: Path) -> list[Path]:
    if is_remote(folder):
        from motacli.remote.files import entries

        return [beside(folder, entry.name) for entry in entries(folder) if entry.name.endswith(".tar")]
    return sorted(folder.glob("*.tar"))


def _is_folder(path: Path) -> bool:
    """Whether to look into it: of a URL, its ending tells as long as that is one of a file."""
    return is_folder(path) if not is_remote(path) or suffix_of(path) not in FORMATS else False


def _require(path: Path) -> None:
    if not exists(path):
        raise DataError(f"no such data set: {shown(path)}", "give a folder, a file, a pattern, or hf-hub:OWNER/NAME")


def _file_source(path: Path, columns: Columns) -> Iterable[ImageText]:
    if not is_remote(path):
        _require(path)
    kind = FORMATS.get(suffix_of(path))
    if kind is None:
        raise DataError(f"{shown(path)}: unknown kind of data set", f"known: a folder, {', '.join(sorted(FORMATS))}")
    return kind.rows(path, columns)
