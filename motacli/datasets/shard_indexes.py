"""What going through remote shards found, kept in the folder that the variable ``MOTA_SHARD_INDEXES`` names.

A build that goes on, the next command, and another machine with the same folder then ask whether a shard has changed,
and read none of it. Ten thousand rows take less than a megabyte. Without the variable nothing is kept.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from motacli.remote.urls import shown
from motacli.runs import explained, replace_file

if TYPE_CHECKING:
    from motacli.remote.files import Version

FOLDER = "MOTA_SHARD_INDEXES"

Places = dict[str, tuple[int, int]]
"""Name of a member to offset and size in bytes."""

Texts = dict[str, bytes]
"""Name of a member to its contents, of those that may be captions."""


def kept_index(shard: Version) -> tuple[Places, Texts] | None:
    """What was found in a shard, if it was kept and the shard is still the same."""
    file = _file(shard)
    if file is None or not file.is_file():
        return None
    try:
        record = json.loads(gzip.decompress(file.read_bytes()))
        places = {name: (int(offset), int(size)) for name, offset, size in record["places"]}
        return places, {name: text.encode("latin-1") for name, text in record["texts"].items()}
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged: it is made again


def keep_index(shard: Version, places: Places, texts: Texts) -> None:
    """Keep what was found in a shard, if that is wanted."""
    file = _file(shard)
    if file is None:
        return
    record = {
        "places": [(name, *place) for name, place in places.items()],
        "texts": {name: text.decode("latin-1") for name, text in texts.items()},  # any bytes
    }
    with explained(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, gzip.compress(json.dumps(record).encode(), 1))


def _file(shard: Version) -> Path | None:
    """Where the index of a shard is kept: nowhere if its server does not tell one version from another."""
    folder = os.environ.get(FOLDER, "").strip()
    if not folder or not shard.mark:
        return None
    name = hashlib.sha256(f"{shown(shard.path)}\0{shard.size}\0{shard.mark}".encode()).hexdigest()[:40]
    return Path(folder).expanduser() / name[:2] / f"{name}.json.gz"
