"""The attributes of a cache: who made it from what, and a checksum over all of it.

`FORMAT` 2. Texts, numbers and booleans are plain HDF5 attributes; ``made_of``, ``computed`` and ``versions`` are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py

from motacli import __version__
from motacli.errors import DataError
from motacli.hdf5 import FileKind

FORMAT = 2
FILE = FileKind("feature file", "write it with `mota cache`", "write it again with `mota cache`")
_JSON = ("made_of", "computed", "versions")
_OPTIONAL = ("computed",)
"""Attributes that stand there only if they say something."""
_LIBRARIES = ("h5py", "numpy", "pillow", "torch", "torchvision", "open_clip_torch")


@dataclass(frozen=True)
class Header:
    """What the attributes say.

    ``fingerprint`` is a digest of weights and preprocessing, ``made_of`` tells these apart. ``normalised`` says whether
    rows have length one. ``source`` is a digest of the ids and captions that were to be encoded, ``skipped`` how many
    of them could not be. ``build`` tells the builds of one file apart. ``computed`` says what was not computed in the
    plain way (`motacli.cache.computed`).
    """

    backbone: str
    fingerprint: str
    joint_dim: int
    made_of: Mapping[str, str] = field(default_factory=dict)
    dtype: str = "float32"
    normalised: bool = False
    source: str = ""
    shard: str = ""
    layout: str = "single"
    build: str = ""
    count: int = 0
    skipped: int = 0
    complete: bool = True
    created: str = ""
    mota: str = __version__
    versions: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT
    computed: Mapping[str, str] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """As they are written."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        told = {name: value for name, value in values.items() if value or name not in _OPTIONAL}
        return {name: _json(value) if name in _JSON else value for name, value in told.items()}

    def dated(self) -> Header:
        """The same, made now by these libraries."""
        return replace(self, created=datetime.now(UTC).isoformat(timespec="seconds"), versions=library_versions())


def read_header(file: h5py.File, path: Path) -> Header:
    """The header of a cache of format 2; `DataError` where it is none."""
    names = [one.name for one in fields(Header)]
    with FILE.explaining_damage(path):
        if file.attrs.get("format", FORMAT) != FORMAT:
            hint = f"{FILE.again}, or use the version of mota that wrote it ({file.attrs.get('mota')})"
            raise DataError(f"{path}: format {file.attrs['format']} is not {FORMAT}, the newest known here", hint)
        if not all(name in file.attrs for name in (*names, "sha256") if name not in _OPTIONAL):
            raise DataError(f"{path} is no feature file of mota", FILE.again)
        found = {name: file.attrs[name] for name in names if name in file.attrs}
        plain = {name: value.item() if hasattr(value, "item") else value for name, value in found.items()}
        return Header(**{name: json.loads(value) if name in _JSON else value for name, value in plain.items()})


def library_versions() -> dict[str, str]:
    """The versions of the libraries that features depend on."""
    return {name: found for name in _LIBRARIES if (found := _version(name))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _json(value: Mapping[str, str]) -> str:
    return json.dumps(dict(value), sort_keys=True)
