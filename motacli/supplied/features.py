"""Features of any model, from HDF5: datasets ``ids`` (N UTF-8 strings) and ``features`` (N, d)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np

from motacli.benchmarks.annotations import unique
from motacli.contracts import Benchmark, EvalUnit
from motacli.errors import DataError, listed
from motacli.evaluation import UnitResult, score_unit
from motacli.supplied.files import unit_path, unit_paths

LAYOUT = "expected datasets 'ids' (strings) and 'features' (N, d)"


@dataclass(frozen=True)
class FeatureFile:
    """Ids and unit-length features ``(N, d)``, float32, in the order of the file."""

    path: Path
    ids: tuple[str, ...]
    features: np.ndarray


def read_features(path: Path) -> FeatureFile:
    """Read and normalise a file of features; lengths carry no meaning where cosines are ranked.

    Raises `DataError` for files of another layout, NaN or infinite numbers, and rows of zeros.
    """
    with _opened(path) as file:
        ids, features = tuple(file["ids"].asstr()[:]), np.asarray(file["features"][:])
    if features.ndim != 2 or features.shape[0] != len(ids) or features.dtype.kind != "f":
        raise DataError(
            f"{path}: 'features' is {features.dtype} of shape {features.shape} for {len(ids)} ids",
            "expected floating-point numbers of shape (N, d), one row per id",
        )
    return FeatureFile(path, ids, _normalised(features, ids, path))


def read_ids(path: Path) -> tuple[str, ...]:
    """The ids in a file of features alone."""
    with _opened(path) as file:
        return tuple(file["ids"].asstr()[:])


def load_supplied(
    benchmark: Benchmark, root: Path, gallery: Path, split: str | None = None, parts: Sequence[str] = ()
) -> list[EvalUnit]:
    """The units of a benchmark whose gallery comes from a file; none of its pictures is needed.

    Benchmarks with a method ``load_with_gallery`` (CIRCO) take the gallery and its order from the file; for all others
    the file has to hold what the benchmark lists.
    """
    load = getattr(benchmark, "load_with_gallery", None)
    if load is None:
        return benchmark.load(root, split, parts)
    return list(load(root, split, parts, unique(read_ids(gallery), gallery, "image"), gallery))


def score_features(units: Sequence[EvalUnit], gallery: Path, queries: Path, keep_top: int = 0) -> list[UnitResult]:
    """Score supplied features. A path may hold ``{unit}``; a file for several units holds what all of them need.

    Gallery rows come in any order; query rows in the order of the annotation files, which is checked. Raises
    `DataError` where ids are missing, unknown or out of order.
    """
    results = {}
    open_gallery = lru_cache(maxsize=1)(read_features)  # one file may be the gallery of every unit
    for path, own in unit_paths(queries, units).items():
        asked = read_features(path)
        _require_queries(asked, own)
        start = 0
        for unit in own:
            rows = asked.features[start : start + len(unit.queries)]
            start += len(unit.queries)
            entries = _gallery_rows(open_gallery(unit_path(gallery, unit)), unit, units)
            results[unit.name] = score_unit(unit, entries, rows, keep_top)
    return [results[unit.name] for unit in units]


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if not path.is_file():
        raise DataError(f"no such feature file: {path}", LAYOUT)
    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in ("ids", "features") if name not in file]
            if missing:
                raise DataError(f"{path}: no dataset {missing[0]!r}", LAYOUT)
            yield file
    except (OSError, TypeError, AttributeError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}", LAYOUT) from error


def _gallery_rows(file: FeatureFile, unit: EvalUnit, units: Sequence[EvalUnit]) -> np.ndarray:
    """Features ``(G, d)`` in the order of the unit's gallery."""
    path = file.path
    row = {id: index for index, id in enumerate(unique(file.ids, path, "image"))}
    missing = [id for id in unit.gallery if id not in row]
    if missing:
        raise DataError(
            f"{path}: no features of {len(missing)} of {len(unit.gallery)} gallery images of {unit.name}: "
            f"{listed(missing)}",
            "the file has to hold the benchmark's whole gallery",
        )
    known = {id for other in units for id in other.gallery}
    unknown = [id for id in file.ids if id not in known]
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} images are not in the gallery: {listed(unknown)}",
            "rankings over a larger gallery cannot be compared; is the file for another split?",
        )
    rows = [row[id] for id in unit.gallery]
    if rows == list(range(len(file.ids))):
        return file.features  # a large gallery is not copied
    return file.features[rows]


def _require_queries(file: FeatureFile, units: Sequence[EvalUnit]) -> None:
    wanted = [query.id for unit in units for query in unit.queries]
    if list(file.ids) == wanted:
        return
    names = " and ".join(unit.name for unit in units)
    if len(file.ids) != len(wanted):
        raise DataError(f"{file.path}: {len(file.ids)} rows for the {len(wanted)} queries of {names}", "one per query")
    row = next(row for row, (found, id) in enumerate(zip(file.ids, wanted, strict=True)) if found != id)
    raise DataError(
        f"{file.path}: row {row} is query {file.ids[row]!r}, and {names} has {wanted[row]!r} there",
        "query rows come in the order of the annotation file",
    )


def _normalised(features: np.ndarray, ids: Sequence[str], path: Path) -> np.ndarray:
    features = features.astype(np.float32, copy=False)
    norms = np.sqrt(np.einsum("nd,nd->n", features, features, dtype=np.float64))
    wrong = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if wrong.size:
        what = "zeros only" if norms[wrong[0]] == 0 else "NaN or infinity"
        raise DataError(f"{path}: the features of {ids[wrong[0]]!r} (row {wrong[0]}) hold {what}", "compute them again")
    features /= norms.astype(np.float32)[:, None]
    return features
