"""Image-text pairs in tar files, as WebDataset lays them out: members of one name are one row, told apart by endings.

A row's picture stays in its shard: it is read from its place there, which one look at the shard's index finds.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from motacli.contracts import ImageRef, ImageText
from motacli.datasets.columns import USUAL, Columns
from motacli.errors import DataError

PICTURES = ("jpg", "jpeg", "png", "webp", "bmp")
TEXTS = ("txt", "caption", "text")
CAPTION_KEYS = ("caption", "text", "title")


@dataclass(frozen=True, slots=True)
class ShardSource:
    """The rows of a shard in the order of its members; an image's id is ``shard/name``. It has no ``columns``."""

    path: Path
    columns: Columns = USUAL

    def __iter__(self) -> Iterator[ImageText]:
        for key, members in _rows(self.path).items():
            picture = next((members[ending] for ending in PICTURES if ending in members), None)
            if picture is None:
                raise DataError(f"{self.path}: {key!r} has no picture", f"looked for {', '.join(PICTURES)}")
            ref = ImageRef(f"{self.path.stem}/{key}", self.path, member=picture)
            yield ImageText(ref, _caption(self.path, key, members))


def read_member(shard: Path, name: str) -> bytes:
    """The contents of a member; `DataError` where the shard lacks it, is no tar file, or is cut off."""
    places = shard_index(shard)
    if name not in places:
        raise DataError(f"{shard} has no member {name!r}")
    offset, size = places[name]
    with shard.open("rb") as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) < size:
        raise DataError(f"{shard} is cut off within {name!r}", "download the shard again")
    return content


def shard_index(shard: Path) -> dict[str, tuple[int, int]]:
    """Where the members of a shard lie: name to offset and size in bytes."""
    try:
        status = shard.stat()
    except FileNotFoundError:
        raise DataError(f"no such shard: {shard}", "give .tar files") from None
    return _index(shard, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)  # an index of 10,000 rows takes some megabytes
def _index(shard: Path, modified: int, size: int) -> dict[str, tuple[int, int]]:
    try:
        with tarfile.open(shard, "r:") as archive:
            return {member.name: (member.offset_data, member.size) for member in archive if member.isfile()}
    except tarfile.TarError as error:
        raise DataError(f"{shard} is no tar file: {error}", "shards are not compressed; download it again") from error


def _rows(shard: Path) -> dict[str, dict[str, str]]:
    """Name of a row to ending to member, in the order of the shard."""
    rows: dict[str, dict[str, str]] = {}
    for name in shard_index(shard):
        folder, slash, file = name.rpartition("/")
        key, dot, ending = file.partition(".")
        if key and dot:
            rows.setdefault(f"{folder}{slash}{key}", {})[ending.lower()] = name
    if not rows:
        raise DataError(f"{shard} holds no rows", "expected members such as 000.jpg and 000.txt")
    return rows


def _caption(shard: Path, key: str, members: dict[str, str]) -> str:
    try:
        text = next((read_member(shard, members[ending]).decode() for ending in TEXTS if ending in members), None)
        if text is None and "json" in members:
            record = json.loads(read_member(shard, members["json"]))
            text = next((record[name] for name in CAPTION_KEYS if isinstance(record.get(name), str)), None)
    except (ValueError, AttributeError) as error:
        raise DataError(f"{shard}: the caption of {key!r} cannot be read: {error}") from error
    if not (text or "").strip():
        raise DataError(f"{shard}: {key!r} has no caption", f"looked for {', '.join(TEXTS)} and json")
    return str(text).strip()
