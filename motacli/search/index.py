"""An index that is open for reading: its pictures, their features, and the parts that make queries for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from motacli.errors import DataError, MotaError, UsageError
from motacli.search.config import IndexConfig, read_config, state_folder
from motacli.search.entries import ENTRIES, Entries, Entry
from motacli.search.stores import STORE
from motacli.search.vectors import Vectors

if TYPE_CHECKING:
    from motacli.contracts import Adapter, Backbone, IndexStore, Inversion
    from motacli.plugins import PluginHost

INVERSION, ADAPTER, THUMBNAILS = "inversion.safetensors", "adapter", "thumbnails"
_TRIES = 5
"""How often a state is looked for that an update removes in that moment."""


@dataclass(frozen=True, eq=False)
class Index:
    """One state of an index, as it was when it was opened: an update does not disturb it.

    ``state`` is the folder of the state, ``generation`` its number. Row ``i`` of ``vectors`` ``(N, d)`` is the feature
    of picture ``i`` of ``entries``.
    """

    path: Path
    config: IndexConfig
    entries: Entries = field(repr=False)
    vectors: Vectors = field(repr=False)

    @classmethod
    def open(cls, path: Path | str, folder: Path | str | None = None) -> Index:
        """The index in the folder ``path``, whose pictures are below ``folder`` where they were moved.

        Raises `DataError` for what is no index, is damaged or of another format.
        """
        path = Path(path).absolute()
        for left in reversed(range(_TRIES)):
            config = read_config(path)
            try:
                return cls._opened(path, config if folder is None else _elsewhere(config, Path(folder)))
            except (MotaError, OSError):
                if not left or read_config(path).state == config.state:
                    raise
        raise AssertionError("unreachable")

    @classmethod
    def _opened(cls, path: Path, config: IndexConfig) -> Index:
        state = state_folder(path, config.state)
        vectors, entries = Vectors.open(state), Entries.open(state / ENTRIES)
        if not len(vectors) == len(entries) == config.rows or vectors.width != config.joint_dim:
            entries.close()
            raise DataError(
                f"{path} is damaged: {config.rows} pictures, {len(entries)} of them listed, with features "
                f"{vectors.stored.shape}",
                "copy the index again, or build it again",
            )
        return cls(path, config, entries, vectors)

    @property
    def state(self) -> Path:
        """The folder of this state, gone once the index was updated."""
        return state_folder(self.path, self.config.state)

    @property
    def generation(self) -> int:
        """The number of this state; every update that changes something has a higher one."""
        return self.config.state

    def is_stale(self) -> bool:
        """Whether the index has another state by now."""
        return read_config(self.path).state != self.generation

    def load_backbone(self, host: PluginHost, device: str = "auto") -> Backbone:
        """The backbone that made the features; `DataError`, naming what differs, where it is another one by now."""
        from motacli.models import BackboneChoice, load_backbone

        how = self.config
        choice = BackboneChoice(how.model, how.pretrained, device, how.precision, how.preprocess)
        backbone = load_backbone(host, choice)
        require_backbone(self.path, how, backbone)
        return backbone

    def load_inversion(self, host: PluginHost, backbone: Backbone) -> Inversion | None:
        """The inversion network of the index, on the backbone's device; None where it has none."""
        from motacli.models import load_inversion

        if self.config.inversion is None:
            return None
        weights = self.path / INVERSION
        return load_inversion(host, self.config.inversion, backbone, weights if weights.is_file() else None)

    def load_adapter(self, host: PluginHost, backbone: Backbone, inversion: Inversion | None) -> Adapter | None:
        """The adapter of the index, on the backbone's device; None where it has none."""
        from motacli.adapters.files import load_adapter

        if self.config.adapter is None or inversion is None:
            return None
        return load_adapter(host, self.path / ADAPTER, backbone, inversion)

    def open_store(self, host: PluginHost) -> IndexStore:
        """What looks rows up by vector, to be closed in the end."""
        return self.config.store_choice.open(self.state / STORE, self.vectors, host)

    def picture(self, entry: Entry) -> Path:
        """Where the picture is; `DataError` unless it is a file inside of the folder, wherever links lead."""
        folder = Path(os.path.realpath(self.config.folder))
        found = Path(os.path.realpath(folder / entry.path))
        if not found.is_relative_to(folder) or not found.is_file():
            hint = "update the index; if the pictures were moved: `mota index INDEX --folder NEW`"
            raise DataError(f"picture {entry.id!r} is not in its folder any more", hint)
        return found

    def thumbnail(self, entry: Entry) -> Path | None:
        """The thumbnail of a picture; None where there is none."""
        found = thumbnail_file(self.path, entry.digest)
        return found if self.config.thumbnails and found.is_file() else None

    def close(self) -> None:
        """Let go of files."""
        self.entries.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def thumbnail_file(path: Path, digest: str) -> Path:
    """Where the thumbnail of a content is in the index ``path``."""
    return path / THUMBNAILS / digest[:2] / f"{digest}.webp"


def require_backbone(path: Path, config: IndexConfig, backbone: Backbone) -> None:
    """Raise `DataError`, naming what differs, unless ``backbone`` made the features of the index ``path``."""
    from motacli.cache.fingerprints import difference, made_of, named

    if config.fingerprint != (found := backbone.fingerprint()):
        raise DataError(
            f"the features of {path} come from another backbone, {named(config.backbone, config.fingerprint)}, not "
            f"{named(backbone.name, found)}{difference(config.made_of, made_of(backbone))}",
            "install what made them, or build the index again",
        )


def _elsewhere(config: IndexConfig, folder: Path) -> IndexConfig:
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}", "give the one that the pictures are in by now")
    return config.changed(folder=os.fspath(folder.absolute()))
