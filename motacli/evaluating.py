"""A backbone on a benchmark: every unit's features once, then any number of query sources scored on them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from motacli.benchmarks.images import require_images
from motacli.benchmarks.protocol import DEFAULT_PROTOCOL, EvalProtocol
from motacli.cache import CacheOptions, FeatureCache, build_cache
from motacli.cache.broken import read_broken
from motacli.cache.building import require_computed
from motacli.cache.encoder import Engine, in_this_process
from motacli.console import Progress
from motacli.contracts import Backbone, Benchmark, EvalUnit
from motacli.encoding import encode_images
from motacli.errors import DataError
from motacli.evaluation import UnitResult, score_unit
from motacli.intervals import RESAMPLES
from motacli.query_sources import QueryInputs, QuerySource
from motacli.results import Evaluation, make_evaluation
from motacli.runs import RunDir
from motacli.search.galleries import Galleries


@dataclass(frozen=True)
class UnitData:
    """A unit with what it takes to score it: unit features ``(G, d)`` in the order of its gallery, and its queries."""

    unit: EvalUnit
    gallery: np.ndarray = field(repr=False)
    inputs: QueryInputs = field(repr=False)


# ---------------------------------------------------------------------------------------------- features


def load_units(
    benchmark: Benchmark,
    root: Path,
    backbone: Backbone,
    *,
    split: str | None = None,
    parts: Sequence[str] = (),
    protocol: str = DEFAULT_PROTOCOL,
    cache_dir: Path | None = None,
) -> list[UnitData]:
    """The units of a benchmark with the features of all their pictures; as `select_units` and `encode_units`."""
    rules = benchmark.protocol(protocol)
    units = select_units(benchmark, root, rules, split, parts)
    return encode_units(units, backbone, rules, cache_dir=cache_dir)


def select_units(
    benchmark: Benchmark, root: Path, protocol: EvalProtocol, split: str | None = None, parts: Sequence[str] = ()
) -> list[EvalUnit]:
    """The units of a benchmark under a protocol, before any picture is looked at."""
    return [protocol.apply(unit) for unit in benchmark.load(root, split, parts)]


def encode_units(
    units: Sequence[EvalUnit],
    backbone: Backbone,
    protocol: EvalProtocol,
    *,
    cache_dir: Path | None = None,
    store: Path | None = None,
    batch_size: int = 64,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[UnitData]:
    """Units with the features of all their pictures, each encoded once.

    With ``cache_dir`` features come from ``<unit>.h5`` there, as ``mota cache`` writes them. With ``store`` they are
    kept in that folder under a name made of weights, preprocessing and list of pictures, and found there the next time.
    Raises `DataError` where pictures are missing, or where a file lacks some or comes from another backbone.
    """
    if cache_dir is not None:
        features = [_cached(unit_cache(cache_dir, unit), unit, backbone) for unit in units]
    elif store is not None:
        features = [_stored(store, unit, backbone, batch_size, workers, progress) for unit in units]
    else:
        features = _encoded(units, backbone, batch_size, workers, progress)
    return [unit_data(unit, rows, protocol, backbone) for unit, rows in zip(units, features, strict=True)]


def unit_cache(folder: Path, unit: EvalUnit) -> Path:
    """Where ``mota cache --benchmark`` puts the features of a unit's pictures."""
    return folder / f"{unit.name}.h5"


def build_unit_caches(
    folder: Path,
    backbone: Backbone,
    units: Sequence[EvalUnit],
    *,
    batch_size: int = 64,
    workers: int = 0,
    progress: Progress | None = None,
    resume: bool = False,
    options: CacheOptions | None = None,
    engine: Engine = in_this_process,
) -> list[FeatureCache]:
    """Write the features of each unit's pictures to ``folder``, which appears when complete.

    ``resume`` goes on with ``<folder>.partial``. Raises as `build_cache` does, and `DataError` where that folder holds
    anything of other units.
    """
    with RunDir.create(folder, resume=resume) as run:
        _refuse_other_units(run.work, units)
        for unit in units:
            require_images(unit)
        for unit in units:
            path, refs = unit_cache(run.work, unit), list(unit.images.values())
            if path.exists():
                _require_same_unit(FeatureCache(path), backbone, options or CacheOptions(), [ref.id for ref in refs])
            else:
                build_cache(
                    path,
                    backbone,
                    refs,
                    batch_size=batch_size,
                    workers=workers,
                    progress=progress,
                    resume=resume,
                    options=options,
                    engine=engine,
                )
    return [FeatureCache(unit_cache(folder, unit)) for unit in units]


def _refuse_other_units(work: Path, units: Sequence[EvalUnit]) -> None:
    wanted = tuple(unit_cache(work, unit).name for unit in units)
    others = sorted(file.name for file in work.iterdir() if not file.name.startswith(wanted))
    if others:
        raise DataError(
            f"{work} was begun for other units: it holds {others[0]}", "remove it, or ask for the same units"
        )


def _require_same_unit(cache: FeatureCache, backbone: Backbone, options: CacheOptions, ids: Sequence[str]) -> None:
    cache.require(backbone)
    require_computed(cache, options)
    broken = {one.id for one in read_broken(cache.path)}
    if list(cache.ids) != [id for id in ids if id not in broken]:
        raise DataError(f"{cache.path} holds other pictures", "remove it, or give the data it was begun for")


def unit_data(unit: EvalUnit, features: np.ndarray, protocol: EvalProtocol, backbone: Backbone) -> UnitData:
    """A unit with the features ``(N, d)`` of its ``images``, in their order, not normalised."""
    rows = {id: row for row, id in enumerate(unit.images)}
    pictures = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
    inputs = QueryInputs(
        backbone=backbone,
        references=pictures[[rows[query.reference] for query in unit.queries]],
        prompts=[protocol.prompts(query) for query in unit.queries],
        texts=[protocol.text(query) for query in unit.queries],
        ids=[query.id for query in unit.queries],
        unit=unit.name,
    )
    gallery = F.normalize(pictures[[rows[id] for id in unit.gallery]], dim=1)
    return UnitData(unit, gallery.numpy(), inputs)


def _encoded(
    units: Sequence[EvalUnit], backbone: Backbone, batch_size: int, workers: int, progress: Progress | None
) -> list[np.ndarray]:
    """Features of each unit's pictures; one that several units share, be it under different ids, is encoded once."""
    for unit in units:
        require_images(unit)
    refs = {(ref.path, ref.box): ref for unit in units for ref in unit.images.values()}
    features = encode_images(backbone, list(refs.values()), batch_size, workers, progress)
    row = {place: index for index, place in enumerate(refs)}
    return [features[[row[ref.path, ref.box] for ref in unit.images.values()]] for unit in units]


def _stored(
    store: Path, unit: EvalUnit, backbone: Backbone, batch_size: int, workers: int, progress: Progress | None
) -> np.ndarray:
    """A unit's features from the store; a file begun there by an interrupted run is gone on with."""
    refs = list(unit.images.values())
    pictures = "".join(f"{ref.id}\0{ref.path.absolute()}\0{ref.box}\n" for ref in refs)
    key = hashlib.sha256(f"{backbone.fingerprint()}\n{pictures}".encode()).hexdigest()[:16]
    path = store / f"{unit.benchmark}-{key}.h5"
    if not path.exists():
        require_images(unit)
        build_cache(path, backbone, refs, batch_size=batch_size, workers=workers, progress=progress, resume=True)
    return _cached(path, unit, backbone)


def _cached(path: Path, unit: EvalUnit, backbone: Backbone) -> np.ndarray:
    if not path.is_file():
        raise DataError(
            f"no features of {unit.name}: {path} does not exist",
            f"write them with `mota cache --benchmark {unit.benchmark}`, for the same split and parts",
        )
    cache = FeatureCache(path)
    cache.require(backbone)
    return cache.features([ref.id for ref in unit.images.values()])


# ---------------------------------------------------------------------------------------------- scores


def evaluate(
    benchmark: Benchmark,
    units: Sequence[UnitData],
    source: QuerySource,
    keep_top: int = 0,
    resamples: int = RESAMPLES,
    galleries: Galleries | None = None,
) -> Evaluation:
    """Score one query source on all units.

    ``keep_top`` keeps that many of each query's best entries; ``resamples`` is how often queries are drawn anew for the
    intervals, 0 leaves them out. With ``galleries`` an index store ranks, see `motacli.evaluation.score_unit`.
    """
    results = [_scored(data, source, keep_top, galleries) for data in units]
    return make_evaluation(benchmark, source.name, [data.unit for data in units], results, resamples)


def _scored(data: UnitData, source: QuerySource, keep_top: int, galleries: Galleries | None) -> UnitResult:
    queries = source.vectors(data.inputs).numpy()
    with nullcontext() if galleries is None else galleries.holding(data.gallery) as store:
        return score_unit(data.unit, data.gallery, queries, keep_top, store=store)
