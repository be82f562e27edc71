"""A cache for other tools: NumPy, Parquet or safetensors files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from motacli.cache.columns import BLOCK_ROWS, Values, columns_of
from motacli.cache.finishing import stored_pieces
from motacli.cache.reading import FeatureCache
from motacli.errors import UsageError
from motacli.extras import needed
from motacli.runs import new_file, refuse_existing


def export_cache(path: Path, out: Path) -> list[Path]:
    """Write a cache in the format that the ending of ``out`` names; gives the files, each in the order of the rows.

    ``.npy``: features, in the number type of the cache; beside them ``.jsonl`` with ids and captions, and
    ``.text.npy``. ``.parquet`` has one column for each of these, ``.safetensors`` the ids as JSON in its metadata.
    Raises `UsageError` for other endings.
    """
    return exporter(out)(FeatureCache(path), out)


def exporter(out: Path) -> Callable[[FeatureCache, Path], list[Path]]:
    """What writes the format that the ending of ``out`` names; `UsageError` for other endings."""
    export = _EXPORTS.get(out.suffix.lower())
    if export is None:
        raise UsageError(
            f"{out}: cannot export to {out.suffix or 'a name without ending'}", f"one of {', '.join(_EXPORTS)}"
        )
    return export


def _to_npy(cache: FeatureCache, out: Path) -> list[Path]:
    arrays = {"features": out, **({"text_features": out.with_suffix(".text.npy")} if cache.has_captions else {})}
    rows = out.with_suffix(".jsonl")
    for file in (*arrays.values(), rows):
        refuse_existing(file)
    for name, file in arrays.items():
        with new_file(file) as work:
            _fill_npy(cache, name, work)
    with new_file(rows) as work, work.open("w", encoding="utf-8") as written:
        for piece in _pieces(cache):
            texts = [piece[name] for name in ("ids", "captions") if name in piece]
            for row in zip(*texts, strict=True):
                record = dict(zip(("id", "caption"), map(str, row), strict=False))
                written.write(json.dumps(record, ensure_ascii=False) + "\n")
    return [*arrays.values(), rows]


def _fill_npy(cache: FeatureCache, name: str, work: Path) -> None:
    shape = (len(cache), cache.joint_dim)
    array = np.lib.format.open_memmap(work, "w+", np.dtype(cache.header.dtype), shape)
    for start, piece in zip(range(0, len(cache), BLOCK_ROWS), _pieces(cache), strict=True):
        array[start : start + BLOCK_ROWS] = piece[name]
    array.flush()


def _to_parquet(cache: FeatureCache, out: Path) -> list[Path]:
    pq = needed("pyarrow.parquet", "parquet", "writing Parquet files")
    pa = needed("pyarrow", "parquet", "writing Parquet files")

    def column(values: Values) -> Any:
        if not isinstance(values, np.ndarray):
            return pa.array([str(text) for text in values])
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])

    with new_file(out) as work:
        tables = (pa.table({name: column(values) for name, values in piece.items()}) for piece in _pieces(cache))
        first = next(tables)
        with closing(pq.ParquetWriter(work, first.schema)) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)
    return [out]


def _to_safetensors(cache: FeatureCache, out: Path) -> list[Path]:
    from safetensors.numpy import save_file

    dtype = np.dtype(cache.header.dtype)
    tensors = {"features": cache.features().astype(dtype, copy=False)}
    about = {"ids": json.dumps(cache.ids), "backbone": cache.backbone, "fingerprint": cache.fingerprint}
    if cache.has_captions:
        tensors["text_features"] = cache.text_features().astype(dtype, copy=False)
        about["captions"] = json.dumps(cache.captions())
    with new_file(out) as work:
        save_file(tensors, work, about)
    return [out]


def _pieces(cache: FeatureCache) -> Iterator[Any]:
    return stored_pieces(cache.path, cache.header, columns_of(cache.has_captions))


_EXPORTS: dict[str, Callable[[FeatureCache, Path], list[Path]]] = {
    ".npy": _to_npy,
    ".parquet": _to_parquet,
    ".safetensors": _to_safetensors,
}
