"""``index.json``: what an index is of, what made it, and which of its states is the current one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from motacli.config import parse_options
from motacli.errors import DataError, UsageError
from motacli.runs import explained, write_json
from motacli.search.stores import StoreChoice

FORMAT = 1
CONFIG = "index.json"
STATES, BUILDING = "states", "building"
PROMPT, SLOT = "a photo of $ that {caption}", "$"
"""The template of a composed query by default, that of the protocol ``searle``, and where its pseudo-words go."""

DType = Literal["float16", "float32"]


@dataclass(frozen=True)
class IndexConfig:
    """The contents of ``index.json``.

    ``state`` numbers the current state, ``folder`` is the absolute path of the pictures. ``model`` to ``preprocess``
    load the backbone, ``backbone``, ``fingerprint`` and ``made_of`` are what it was when the features were made.
    ``inversion`` and ``adapter`` are names of components, whose weights lie in the index; a digest is None for a part
    without weights. ``thumbnails`` is the longer side in pixels, 0 for none. ``metadata`` is the CSV file that the
    ``columns`` (name to ``number`` or ``text``) came from. ``scanned_ns`` is when the folder was last looked through,
    ``counts`` what was found then.
    """

    state: int
    folder: str
    model: str
    pretrained: str | None
    precision: str
    preprocess: str
    backbone: str
    fingerprint: str
    joint_dim: int
    made_of: dict[str, str]
    rows: int
    dtype: DType = "float16"
    inversion: str | None = None
    inversion_digest: str | None = None
    adapter: str | None = None
    adapter_digest: str | None = None
    store: str = "exact"
    store_options: dict[str, Any] = field(default_factory=dict)
    prompt: str = PROMPT
    thumbnails: int = 0
    metadata: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    scanned_ns: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    updated: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def store_choice(self) -> StoreChoice:
        """What finds rows."""
        return StoreChoice(self.store, self.store_options)

    def changed(self, **values: Any) -> IndexConfig:
        """The same with other values."""
        return replace(self, **values)


def read_config(path: Path) -> IndexConfig:
    """What ``index.json`` of the index ``path`` says; `DataError` where it is missing, damaged or of another format."""
    file = path / CONFIG
    if not file.is_file():
        raise _no_index(path)
    try:
        with explained(file):
            found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is not valid JSON: {error}", "copy the index again, or build it again") from error
    number = found.pop("format", None) if isinstance(found, dict) else None
    if number != FORMAT:
        raise DataError(
            f"{file}: format {number!r} is not {FORMAT}, the one known here",
            "build it again, or use the version of mota that wrote it",
        )
    try:
        return parse_options(IndexConfig, found, str(file))
    except UsageError as error:
        raise DataError(error.message, "the file was changed or damaged") from error


def write_config(path: Path, config: IndexConfig) -> None:
    """Make ``config`` that of the index ``path``: a reader sees the old one or this one."""
    document: Mapping[str, Any] = {"format": FORMAT, **asdict(config)}
    write_json(path / CONFIG, document)


def state_folder(path: Path, state: int) -> Path:
    """Where a state of the index ``path`` is."""
    return path / STATES / f"{state:06d}"


def _no_index(path: Path) -> DataError:
    if (path / BUILDING).is_dir():
        return DataError(f"{path} is an unfinished index", "go on with it: the same `mota index` again")
    what = "is no index: there is no index.json in it" if path.is_dir() else "is not there"
    return DataError(f"{path} {what}", "build one: `mota index FOLDER -o INDEX`")
