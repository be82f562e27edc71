"""Image-text pairs in tar files, as WebDataset lays them out: members of one name are one row, told apart by endings.

A row's picture stays in its shard: it is read from its place there, which one look at the shard's index finds. To find
the members of a remote shard takes going through all of it. That is done once, captions are taken along, and
`ImageRef.member` says the place besides the name, ``000.jpg@1536+20480``: whoever opens the picture, on whichever
machine, needs no index.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from motacli.contracts import ImageRef, ImageText
from motacli.datasets.columns import USUAL, Columns
from motacli.datasets.places import open_binary, version
from motacli.datasets.shard_indexes import Places, Texts, keep_index, kept_index
from motacli.errors import DataError
from motacli.remote.urls import is_remote, shown, stem_of

PICTURES = ("jpg", "jpeg", "png", "webp", "bmp")
TEXTS = ("txt", "caption", "text")
CAPTION_KEYS = ("caption", "text", "title")
_ENDINGS = tuple(f".{ending}" for ending in (*TEXTS, "json"))
LONGEST = 1 << 20
"""Bytes of a remote caption that is taken along; what is longer is read again when its row comes."""
_PLACED = re.compile(r"(.*)@(\d+)\+(\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ShardSource:
    """The rows of a shard in the order of its members; an image's id is ``shard/name``. It has no ``columns``."""

    path: Path
    columns: Columns = USUAL

    def __iter__(self) -> Iterator[ImageText]:
        remote = is_remote(self.path)
        places, texts = _remote_index(self.path) if remote else (shard_index(self.path), {})
        shard, stem = shown(self.path), stem_of(self.path)

        def content(name: str) -> bytes:
            return texts[name] if name in texts else read_member(self.path, _placed(name, places) if remote else name)

        for key, members in _rows(shard, places).items():
            picture = next((members[ending] for ending in PICTURES if ending in members), None)
            if picture is None:
                raise DataError(f"{shard}: {key!r} has no picture", f"looked for {', '.join(PICTURES)}")
            ref = ImageRef(f"{stem}/{key}", self.path, member=_placed(picture, places) if remote else picture)
            yield ImageText(ref, _caption(shard, key, members, content))


def read_member(shard: Path, name: str) -> bytes:
    """The contents of a member; `DataError` where the shard lacks it, is no tar file, is cut off, or has changed."""
    if is_remote(shard) and (placed := _PLACED.fullmatch(name)):
        return _read_remote(shard, placed[1], int(placed[2]), int(placed[3]))
    places = shard_index(shard)
    if name not in places:
        raise DataError(f"{shown(shard)} has no member {name!r}")
    if is_remote(shard):
        return _read_remote(shard, name, *places[name])
    offset, size = places[name]
    with shard.open("rb") as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) < size:
        raise DataError(f"{shard} is cut off within {name!r}", "download the shard again")
    return content


def shard_index(shard: Path) -> Places:
    """Where the members of a shard lie: name to offset and size in bytes."""
    if is_remote(shard):
        return _index(shard, version(shard))
    try:
        status = shard.stat()
    except FileNotFoundError:
        raise DataError(f"no such shard: {shard}", "give .tar files") from None
    return _index(shard, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=16)  # an index of 10,000 rows takes some megabytes
def _index(shard: Path, version: Hashable) -> Places:
    return _scanned(shard)


def _remote_index(shard: Path) -> tuple[Places, Texts]:
    """The members of a remote shard, and what may be captions among them."""
    from motacli.remote import files

    now = files.version(shard)
    found = kept_index(now)
    if found is None:
        texts: Texts = {}
        places = _scanned(shard, texts)
        captions = filter(None, map(_caption_member, _rows(shown(shard), places).values()))
        found = places, {name: texts[name] for name in captions if name in texts}
        keep_index(now, *found)
    return found


def _scanned(shard: Path, texts: Texts | None = None) -> Places:
    """The members of a shard; ``texts`` is given the contents of those that may be captions."""
    places: Places = {}
    try:
        with open_binary(shard) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                places[member.name] = (member.offset_data, member.size)
                if texts is not None and member.size <= LONGEST and member.name.lower().endswith(_ENDINGS):
                    file.seek(member.offset_data)
                    texts[member.name] = file.read(member.size)
    except tarfile.TarError as error:
        raise DataError(
            f"{shown(shard)} is no tar file: {error}", "shards are not compressed; download it again"
        ) from error
    return places


def _placed(name: str, places: Places) -> str:
    offset, size = places[name]
    return f"{name}@{offset}+{size}"


def _read_remote(shard: Path, name: str, offset: int, size: int) -> bytes:
    """A member from its place, with the header before it, by which it is told from what the shard held before."""
    from motacli.remote.files import opened

    begin = max(0, offset - tarfile.BLOCKSIZE)
    block = opened(shard).ranges.read(begin, offset + size)
    try:
        header = tarfile.TarInfo.frombuf(block[: offset - begin], "utf-8", "surrogateescape")
    except tarfile.TarError:
        header = tarfile.TarInfo()
    content = block[offset - begin :]
    if len(content) < size or header.size != size or not _may_be(header.name, name):
        raise DataError(
            f"{shown(shard)} has no member {name!r} at byte {offset}", "has it changed since it was listed?"
        )
    return content


def _may_be(written: str, name: str) -> bool:
    """Whether a header's name may be that of the member: of a long one, or one beyond ASCII, it says a part."""
    return written == name or not name.isascii() or len(name) > 90


def _rows(shard: str, places: Places) -> dict[str, dict[str, str]]:
    """Name of a row to ending to member, in the order of the shard."""
    rows: dict[str, dict[str, str]] = {}
    for name in places:
        folder, slash, file = name.rpartition("/")
        key, dot, ending = file.partition(".")
        if key and dot:
            rows.setdefault(f"{folder}{slash}{key}", {})[ending.lower()] = name
    if not rows:
        raise DataError(f"{shard} holds no rows", "expected members such as 000.jpg and 000.txt")
    return rows


def _caption_member(members: dict[str, str]) -> str | None:
    """The member that holds a row's caption."""
    return next((members[ending] for ending in (*TEXTS, "json") if ending in members), None)


def _caption(shard: str, key: str, members: dict[str, str], content: Callable[[str], bytes]) -> str:
    member, text = _caption_member(members), None
    try:
        if member is not None and member == members.get("json"):
            record = json.loads(content(member))
            text = next((record[name] for name in CAPTION_KEYS if isinstance(record.get(name), str)), None)
        elif member is not None:
            text = content(member).decode()
    except (ValueError, AttributeError) as error:
        raise DataError(f"{shard}: the caption of {key!r} cannot be read: {error}") from error
    if not (text or "").strip():
        raise DataError(f"{shard}: {key!r} has no caption", f"looked for {', '.join(TEXTS)} and json")
    return str(text).strip()
