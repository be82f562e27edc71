"""Features from elsewhere: a ``.npy`` file with ids beside it, or a folder as clip-retrieval writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from motacli.cache.columns import Columns, blocks
from motacli.cache.fingerprints import made_of
from motacli.cache.header import Header
from motacli.cache.holding import held
from motacli.cache.putting_together import put_together
from motacli.cache.reading import FeatureCache
from motacli.contracts import Backbone
from motacli.errors import DataError, UsageError, listed
from motacli.extras import needed
from motacli.hdf5 import text_digest
from motacli.runs import explained, refuse_existing

ID_COLUMNS = ("image_path", "key", "id", "url")
_NORMALISED = 1e-2
"""How far from one lengths may be, as half precision leaves them."""


@dataclass(frozen=True)
class Piece:
    """Features ``(N, d)``, mapped into memory rather than read, and their ids."""

    file: Path
    features: np.ndarray
    ids: Sequence[str]


def import_features(
    source: Path, out: Path, backbone: Backbone, ids: Path | None = None, id_column: str | None = None
) -> FeatureCache:
    """Write features to ``out`` as those of ``backbone``, which nothing but the caller's word says they are.

    Features of length one are marked as normalised. Raises `DataError` where ids and rows, or the sizes of features and
    backbone, do not match, where ids repeat, and for numbers that are not finite.
    """
    refuse_existing(out)
    pieces = _pieces(source, ids, id_column)
    names = [id for piece in pieces for id in piece.ids]
    if len(set(names)) < len(names):
        raise DataError(f"{source}: ids occur more than once: {listed(_repeated(names))}", "name another --id-column")
    for piece in pieces:
        _require_fit(piece, backbone)
    header = Header(
        backbone=backbone.name,
        fingerprint=backbone.fingerprint(),
        joint_dim=backbone.joint_dim,
        made_of=made_of(backbone),
        dtype="float16" if all(piece.features.dtype == np.float16 for piece in pieces) else "float32",
        normalised=all(_normalised(piece.features) for piece in pieces),
        source=str(text_digest(names).hexdigest()),
        count=len(names),
    ).dated()
    with held(out):
        put_together(out, header, False, lambda names: _columns(pieces, header.dtype))
    return FeatureCache(out)


def _pieces(source: Path, ids: Path | None, id_column: str | None) -> list[Piece]:
    if source.is_dir():
        if ids is not None:
            raise UsageError("--ids does not go with a folder", "its ids are in metadata/*.parquet")
        return _folder(source, id_column)
    if ids is None:
        raise UsageError(f"whose features are in {source}?", "give --ids FILE")
    return [Piece(source, _array(source), _read_ids(ids, id_column))]


def _folder(source: Path, id_column: str | None) -> list[Piece]:
    arrays = sorted((source / "img_emb").glob("*.npy"), key=_number)
    tables = sorted((source / "metadata").glob("*.parquet"), key=_number)
    if not arrays or len(arrays) != len(tables):
        raise DataError(
            f"{source}: {len(arrays)} files img_emb/*.npy and {len(tables)} metadata/*.parquet",
            "as many of either are expected; of a single .npy give the file and --ids",
        )
    pairs = zip(arrays, tables, strict=True)
    return [Piece(array, _array(array), _read_ids(table, id_column)) for array, table in pairs]


def _number(path: Path) -> tuple[int, str]:
    """img_emb_10 comes after img_emb_9."""
    found = re.search(r"(\d+)$", path.stem)
    return (int(found[1]) if found else -1), path.name


def _array(path: Path) -> np.ndarray:
    try:
        with explained(path):
            found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is no readable .npy file: {error}") from error
    if found.ndim != 2 or found.dtype.kind != "f":
        raise DataError(f"{path} holds {found.dtype} of shape {found.shape}", "expected floats of shape (N, d)")
    return found


def _read_ids(path: Path, column: str | None) -> list[str]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: unknown kind of ids", f"one of {', '.join(_READERS)}")
    try:
        with explained(path):
            return [str(id) for id in reader(path, column)]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not readable as ids: {error}") from error


def _of_record(record: Any, column: str | None) -> str:
    if not isinstance(record, dict):
        return str(record)
    return str(record[_column(list(record), column)])


def _column(names: Sequence[str], column: str | None) -> str:
    found = next((name for name in ([column] if column else ID_COLUMNS) if name in names), None)
    if found is None:
        raise KeyError(f"no column {column or ' or '.join(ID_COLUMNS)} among {', '.join(names)}")
    return found


def _from_parquet(path: Path, column: str | None) -> list[Any]:
    table = needed("pyarrow.parquet", "parquet", "reading Parquet files").ParquetFile(path)
    name = _column(table.schema_arrow.names, column)
    return list(table.read(columns=[name]).column(0).to_pylist())


_READERS: dict[str, Any] = {
    ".txt": lambda path, column: path.read_text("utf-8").splitlines(),
    ".json": lambda path, column: [_of_record(one, column) for one in json.loads(path.read_text("utf-8"))],
    ".jsonl": lambda path, column: [
        _of_record(json.loads(line), column) for line in path.read_text("utf-8").splitlines() if line.strip()
    ],
    ".npy": lambda path, column: np.load(path, allow_pickle=False).tolist(),
    ".parquet": _from_parquet,
}


def _require_fit(piece: Piece, backbone: Backbone) -> None:
    rows, width = piece.features.shape
    if len(piece.ids) != rows:
        raise DataError(f"{piece.file} holds {rows} rows for {len(piece.ids)} ids")
    if width != backbone.joint_dim:
        raise DataError(
            f"{piece.file} holds features of {width} numbers, and those of {backbone.name!r} have {backbone.joint_dim}",
            "name the --model they were made with",
        )
    for start, stop in blocks(rows):
        if not np.isfinite(piece.features[start:stop]).all():
            raise DataError(f"{piece.file}: rows {start} to {stop - 1} hold NaN or infinity", "make them again")


def _normalised(features: np.ndarray) -> bool:
    edges = blocks(len(features))
    norms = (np.linalg.norm(features[start:stop].astype(np.float32), axis=1) for start, stop in edges)
    return all(bool((np.abs(some - 1) < _NORMALISED).all()) for some in norms)


def _columns(pieces: Sequence[Piece], dtype: str) -> Iterator[Columns]:
    for piece in pieces:
        for start, stop in blocks(len(piece.ids)):
            yield {"ids": piece.ids[start:stop], "features": np.asarray(piece.features[start:stop]).astype(dtype)}


def _repeated(names: Sequence[str]) -> list[str]:
    ordered = sorted(names)
    return sorted({one for one, other in pairwise(ordered) if one == other})
