"""Features on disk: an HDF5 file with the features of pictures, and of their captions, in the order of their ids.

Datasets ``ids`` (N) and ``features`` (N, d); image-text data adds ``captions`` (N) and ``text_features`` (N, d). All
are float32, not normalised. The attributes say which backbone made them, and the attribute ``sha256`` covers it all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from motacli import __version__
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone, ImageRef, ImageText
from motacli.datasets import picture_exists
from motacli.encoding import batch_sizes, encode_texts, image_batches
from motacli.errors import DataError, MotaError
from motacli.hdf5 import UNSEALED, FileKind, digest_rows, in_place, read_rows, text_digest, write_rows
from motacli.runs import new_file, partial_path

FORMAT = 1
TEXT_BATCHES = 16
"""Batches of captions between two flushes: texts of like length are found among that many."""

_FILE = FileKind("feature file", "write it with `mota cache`", "write it again with `mota cache`")


@dataclass(frozen=True)
class Header:
    """The attributes of a feature file. ``rows`` is a digest of ids and captions."""

    format: int
    backbone: str
    fingerprint: str
    joint_dim: int
    mota: str
    created: str
    rows: str


@dataclass(frozen=True)
class Rows:
    """What a feature file holds features of: distinct pictures and, for image-text data, a caption of each."""

    refs: tuple[ImageRef, ...]
    captions: tuple[str, ...] = ()
    more_captions: int = 0

    @classmethod
    def of(cls, items: Iterable[ImageRef | ImageText]) -> Rows:
        """The pictures in order of appearance, each with its first caption; ``more_captions`` counts the others.

        Raises `DataError` for an id that stands for two pictures and for text that HDF5 cannot hold.
        """
        refs: dict[str, ImageRef] = {}
        captions: dict[str, str] = {}
        more = 0
        for item in items:
            ref = item.image if isinstance(item, ImageText) else item
            known = refs.setdefault(_storable(ref.id), ref)
            if known.place != ref.place:
                raise DataError(
                    f"image id {ref.id!r} stands for two pictures: {known.place} and {ref.place}",
                    "give every picture an id of its own",
                )
            if isinstance(item, ImageText):
                more += captions.setdefault(ref.id, _storable(item.caption)) != item.caption
        if not refs:
            raise DataError("there are no pictures to encode")
        return cls(tuple(refs.values()), tuple(captions.values()), more)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the pictures."""
        return tuple(ref.id for ref in self.refs)

    def digest(self) -> str:
        """SHA-256 of ids and captions."""
        return text_digest(self.ids, self.captions).hexdigest()


# ---------------------------------------------------------------------------------------------- writing


def build_cache(
    path: Path,
    backbone: Backbone,
    items: Iterable[ImageRef | ImageText],
    *,
    batch_size: int = 64,
    workers: int = 0,
    progress: Progress | None = None,
    resume: bool = False,
) -> FeatureCache:
    """Encode pictures, and captions where ``items`` have them, into ``path``, which appears when complete.

    Until then rows go to ``<name>.partial``, which keeps every batch whatever interrupts the process; ``resume`` goes
    on with it. Raises `DataError` for missing or broken pictures, ids that are not unique, and a part file that
    belongs to another backbone or other rows; `MotaError` where ``path`` exists or an unfinished file is in the way.
    """
    progress = progress or NullProgress()
    rows = Rows.of(items)
    if rows.more_captions:
        progress.warn(f"{rows.more_captions} further captions of pictures that occur more than once are left out")
    with new_file(path) as part:
        _require_pictures(rows.refs)
        if not part.exists():
            _begin(part, rows, _header(backbone, rows))
        elif not resume:
            raise MotaError(
                f"an unfinished file is in the way: {part}", "go on with --resume, remove it or choose another name"
            )
        with _FILE.opened(part, "r+") as file:
            _require_same(file, part, backbone, rows)
            _encode_pictures(file, backbone, rows.refs, batch_size, workers, progress)
            if rows.captions:
                _encode_captions(file, backbone, rows.captions, batch_size, progress)
            file.attrs.modify("sha256", np.bytes_(_contents_digest(file)))
        with part.open("rb") as written:
            os.fsync(written.fileno())
    return FeatureCache(path)


def _header(backbone: Backbone, rows: Rows) -> Header:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    dim = backbone.joint_dim
    return Header(FORMAT, backbone.name, backbone.fingerprint(), dim, __version__, created, rows.digest())


def _begin(part: Path, rows: Rows, header: Header) -> None:
    """Lay the whole file out at once: from then on rows are only filled in, which no kill can leave inconsistent."""
    blank = partial_path(part)
    with h5py.File(blank, "w") as file:
        file.attrs.update(asdict(header))
        file.attrs["sha256"] = UNSEALED
        file.create_dataset("done", (2,), np.int64, dcpl=in_place(), fillvalue=0)
        columns = {"ids": rows.ids, **({"captions": rows.captions} if rows.captions else {})}
        for name, texts in columns.items():
            file.create_dataset(name, data=list(texts), dtype=h5py.string_dtype())
        for name in ("features", "text_features")[: len(columns)]:
            file.create_dataset(name, (len(rows.refs), header.joint_dim), np.float32, dcpl=in_place())
    os.replace(blank, part)


def _require_pictures(refs: Sequence[ImageRef]) -> None:
    """Look for the files first: hours of encoding are a bad moment to learn that one is missing."""
    missing = [ref for ref in refs if not picture_exists(ref)]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(refs)} pictures are missing, the first is {missing[0].path}",
            f"it belongs to image id {missing[0].id!r}",
        )


def _require_same(file: h5py.File, part: Path, backbone: Backbone, rows: Rows) -> None:
    header = _read_header(file, part)
    if header.fingerprint != backbone.fingerprint():
        raise DataError(
            f"{part} was begun with another backbone, {_named(header.backbone, header.fingerprint)}, "
            f"not {_named(backbone.name, backbone.fingerprint())}",
            "give the --model, --pretrained, --precision and --preprocess of the first attempt, or remove it",
        )
    if header.rows != rows.digest():
        raise DataError(f"{part} was begun with other pictures or captions", "remove it, or give the data it is for")


def _encode_pictures(
    file: h5py.File, backbone: Backbone, refs: Sequence[ImageRef], batch_size: int, workers: int, progress: Progress
) -> None:
    done = int(file["done"][0])
    if done:
        progress.log(f"going on after {done} of {len(refs)} pictures")
    sizes = batch_sizes(len(refs) - done, batch_size)
    with closing(image_batches(backbone, refs[done:], sizes, workers, progress)) as batches:
        for batch in batches:
            done = write_rows(file, "features", 0, done, batch)


def _encode_captions(
    file: h5py.File, backbone: Backbone, captions: Sequence[str], batch_size: int, progress: Progress
) -> None:
    done = int(file["done"][1])
    edges = list(pairwise([*range(done, len(captions), TEXT_BATCHES * batch_size), len(captions)]))
    for start, stop in progress.track(edges, "encoding captions"):
        done = write_rows(file, "text_features", 1, start, encode_texts(backbone, captions[start:stop], batch_size))


# ---------------------------------------------------------------------------------------------- reading


class FeatureCache:
    """A complete feature file. Opening it checks its format and its checksum; `DataError` says what is wrong.

    ``ids`` are in the order of the file; ``fingerprint`` and ``backbone`` are those of the backbone that made it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        with _FILE.opened(self.path, "r") as file, _FILE.explaining_damage(self.path):
            header = _read_header(file, self.path)
            _require_complete(file, self.path)
            if file.attrs["sha256"] != np.bytes_(_contents_digest(file)):
                raise DataError(f"{self.path} is damaged: its contents do not match its checksum", _FILE.again)
            self.ids: tuple[str, ...] = tuple(file["ids"].asstr()[:])
            self.has_captions = "captions" in file
        self.backbone, self.fingerprint, self.joint_dim = header.backbone, header.fingerprint, header.joint_dim
        self.mota, self.created = header.mota, header.created
        self._row = {id: row for row, id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def features(self, ids: Sequence[str] | None = None) -> np.ndarray:
        """Image features ``(N, d)`` of these ids, or of all, float32, not normalised; `DataError` for unknown ids."""
        return self._read(lambda file, rows: read_rows(file["features"], rows), ids)

    def text_features(self, ids: Sequence[str] | None = None) -> np.ndarray:
        """Text features ``(N, d)`` of the captions of these ids, or of all; `DataError` where there are no captions."""
        self._require_captions()
        return self._read(lambda file, rows: read_rows(file["text_features"], rows), ids)

    def captions(self, ids: Sequence[str] | None = None) -> tuple[str, ...]:
        """The captions of these ids, or of all; `DataError` where there are none."""
        self._require_captions()
        return tuple(self._read(lambda file, rows: file["captions"].asstr()[:][rows], ids))

    def require(self, backbone: Backbone) -> None:
        """Raise `DataError` unless ``backbone`` is the one that made these features."""
        if self.fingerprint != backbone.fingerprint():
            raise DataError(
                f"the features in {self.path} come from another backbone, {_named(self.backbone, self.fingerprint)}, "
                f"not {_named(backbone.name, backbone.fingerprint())}",
                "give the --model, --pretrained, --precision and --preprocess they were made with, or make them again",
            )

    def _read(self, read: Callable[[h5py.File, np.ndarray], Any], ids: Sequence[str] | None) -> Any:
        rows = self._rows_of(self.ids if ids is None else ids)
        with _FILE.opened(self.path, "r") as file, _FILE.explaining_damage(self.path):
            return read(file, rows)

    def _rows_of(self, ids: Sequence[str]) -> np.ndarray:
        missing = [id for id in dict.fromkeys(ids) if id not in self._row]
        if missing:
            raise DataError(
                f"{self.path} has no features of {len(missing)} of {len(ids)} pictures, the first is {missing[0]!r}",
                "were they made from other data?",
            )
        return np.array([self._row[id] for id in ids], dtype=np.int64)

    def _require_captions(self) -> None:
        if not self.has_captions:
            raise DataError(f"{self.path} holds no captions", "give a file that `mota cache --data` wrote")


def _read_header(file: h5py.File, path: Path) -> Header:
    names = [field.name for field in fields(Header)]
    with _FILE.explaining_damage(path):
        if not all(name in file.attrs for name in (*names, "sha256")):
            raise DataError(f"{path} is no feature file of mota", _FILE.again)
        found = {name: file.attrs[name] for name in names}
        header = Header(**{name: value.item() if hasattr(value, "item") else value for name, value in found.items()})
        if header.format != FORMAT:
            hint = f"{_FILE.again}, or use the version of mota that wrote it ({header.mota})"
            raise DataError(f"{path}: format {header.format!r} is not {FORMAT}, the one known here", hint)
        _check_layout(file, path, header)
    return header


def _check_layout(file: h5py.File, path: Path, header: Header) -> None:
    shape = (len(file["ids"]), header.joint_dim)
    for name in ("features", "text_features") if "captions" in file else ("features",):
        if file[name].shape != shape or file[name].dtype != np.float32:
            found = f"{file[name].dtype} {file[name].shape}"
            raise DataError(f"{path} is damaged: {name!r} is {found} and should be float32 {shape}", _FILE.again)


def _require_complete(file: h5py.File, path: Path) -> None:
    images, texts = (int(count) for count in file["done"][:])
    total = len(file["ids"])
    if images < total or ("captions" in file and texts < total) or file.attrs["sha256"] == UNSEALED:
        hint = "let `mota cache --resume` finish it; a finished file is not called .partial"
        raise DataError(f"{path} is unfinished: {images} of {total} pictures are encoded", hint)


# ---------------------------------------------------------------------------------------------- digests


def _contents_digest(file: h5py.File) -> str:
    """SHA-256 of attributes, ids, captions and features."""
    attributes = {field.name: str(file.attrs[field.name]) for field in fields(Header)}
    captions = file["captions"].asstr()[:] if "captions" in file else ()
    digest = text_digest([json.dumps(attributes, sort_keys=True)], file["ids"].asstr()[:], captions)
    for name in ("features", "text_features") if "captions" in file else ("features",):
        digest_rows(digest, file[name])
    return digest.hexdigest()


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{text!r} is not valid text", "it holds half of a surrogate pair") from None
    if "\0" in text:
        raise DataError(f"{text!r} holds a NUL character", "take it out")
    return text


def _named(name: str, fingerprint: str) -> str:
    return f"{name!r} ({fingerprint})"
