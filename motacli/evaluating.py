"""A backbone on a benchmark: every unit's features once, then any number of query sources scored on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from motacli.benchmarks.images import require_images
from motacli.benchmarks.protocol import DEFAULT_PROTOCOL
from motacli.cache import FeatureCache, build_cache
from motacli.console import Progress
from motacli.contracts import Backbone, Benchmark, EvalUnit
from motacli.encoding import encode_images
from motacli.errors import DataError
from motacli.evaluation import UnitResult, bootstrap_ci, report_units, score_unit
from motacli.query_sources import QueryInputs, QuerySource
from motacli.runs import RunDir, jsonable

RESAMPLES = 2000
LEVEL = 0.95
HEADLINES = {
    "fashioniq": ("R@10", "R@50"),
    "cirr": ("R@1", "R@10", "Rsubset@1"),
    "circo": ("mAP@10",),
    "genecis": ("R@1",),
}
"""What tables show of a benchmark; of any other it is its ``headline``."""


@dataclass(frozen=True)
class UnitData:
    """A unit with what it takes to score it: unit features ``(G, d)`` in the order of its gallery, and its queries."""

    unit: EvalUnit
    gallery: np.ndarray = field(repr=False)
    inputs: QueryInputs = field(repr=False)


@dataclass(frozen=True)
class Evaluation:
    """The results of one query source on the units of a benchmark, and the JSON report made of them.

    ``source`` is its name. ``results`` keep the values of every query. To what `report_units` says of units and
    averages ``report`` adds ``ci``: a 95 % interval per metric, in percent, over which queries were asked.
    """

    source: str
    results: tuple[UnitResult, ...]
    report: dict[str, dict[str, dict[str, Any]]]


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
    batch_size: int = 64,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[UnitData]:
    """The units of a benchmark with the features of all their pictures, each encoded once.

    With ``cache_dir`` features come from ``<unit>.h5`` there, as ``mota cache`` writes them. Raises `DataError` where
    pictures are missing, or where a file lacks some or comes from another backbone.
    """
    units = benchmark.load(root, split, parts)
    for unit in units:
        for query in unit.queries[:1]:
            benchmark.prompts(query, protocol)  # an unknown protocol is refused before anything is encoded
    if cache_dir is None:
        features = _encoded(units, backbone, batch_size, workers, progress)
    else:
        features = [_cached(unit_cache(cache_dir, unit), unit, backbone) for unit in units]
    return [unit_data(u, rows, benchmark, backbone, protocol) for u, rows in zip(units, features, strict=True)]


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
                _require_same_unit(FeatureCache(path), backbone, [ref.id for ref in refs])
            else:
                build_cache(
                    path, backbone, refs, batch_size=batch_size, workers=workers, progress=progress, resume=resume
                )
    return [FeatureCache(unit_cache(folder, unit)) for unit in units]


def _refuse_other_units(work: Path, units: Sequence[EvalUnit]) -> None:
    wanted = tuple(unit_cache(work, unit).name for unit in units)
    others = sorted(file.name for file in work.iterdir() if not file.name.startswith(wanted))
    if others:
        raise DataError(
            f"{work} was begun for other units: it holds {others[0]}", "remove it, or ask for the same units"
        )


def _require_same_unit(cache: FeatureCache, backbone: Backbone, ids: Sequence[str]) -> None:
    cache.require(backbone)
    if list(cache.ids) != list(ids):
        raise DataError(f"{cache.path} holds other pictures", "remove it, or give the data it was begun for")


def unit_data(
    unit: EvalUnit, features: np.ndarray, benchmark: Benchmark, backbone: Backbone, protocol: str = DEFAULT_PROTOCOL
) -> UnitData:
    """A unit with the features ``(N, d)`` of its ``images``, in their order, not normalised."""
    rows = {id: row for row, id in enumerate(unit.images)}
    pictures = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
    inputs = QueryInputs(
        backbone=backbone,
        references=pictures[[rows[query.reference] for query in unit.queries]],
        prompts=[benchmark.prompts(query, protocol) for query in unit.queries],
        texts=[benchmark.text(query, protocol) for query in unit.queries],
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
) -> Evaluation:
    """Score one query source on all units.

    ``keep_top`` keeps that many of each query's best entries; ``resamples`` is how often queries are drawn anew for the
    intervals, 0 leaves them out.
    """
    results = tuple(
        score_unit(data.unit, data.gallery, source.vectors(data.inputs).numpy(), keep_top) for data in units
    )
    report = report_units(benchmark, results)
    if resamples:
        for name, intervals in _intervals(benchmark, results, resamples).items():
            report["units"][name]["ci"] = intervals
    return Evaluation(source.name, results, report)


def headline(benchmark: Benchmark, evaluation: Evaluation) -> dict[str, float]:
    """The numbers tables show, in percent: of the benchmark's average where it has one, else of its only unit.

    Empty where the average is wanting, because only some parts were evaluated or the targets are secret.
    """
    results = evaluation.results
    averages = benchmark.averages({result.name: result.metrics for result in results})
    if averages:
        row: Mapping[str, float] = next(iter(averages.values()))
    else:
        row = results[0].metrics if len(results) == 1 and len(benchmark.parts) <= 1 else {}
    return {name: row[name] for name in HEADLINES.get(benchmark.name, (benchmark.headline,)) if name in row}


def summary(benchmark: Benchmark, units: Sequence[UnitData], evaluation: Evaluation) -> dict[str, Any]:
    """Benchmark, split, query source, headline and report: what ``--json`` prints."""
    about = {"benchmark": benchmark.name, "split": units[0].unit.split, "query": evaluation.source}
    return {**about, "headline": headline(benchmark, evaluation), **evaluation.report}


def write_evaluation(run: RunDir, benchmark: Benchmark, units: Sequence[UnitData], evaluation: Evaluation) -> None:
    """Write ``metrics.json``, with the values of every query, and the rankings that were kept to a run's folder.

    ``per_query`` maps units to ``ids`` and, by metric, ``values`` in 0..1; rankings go to ``rankings/<unit>.json`` and,
    within CIRR's groups, ``rankings/<unit>_subset.json``.
    """
    per_query = {
        result.name: {"ids": [query.id for query in data.unit.queries], "values": result.per_query}
        for data, result in zip(units, evaluation.results, strict=True)
    }
    run.write_json("metrics.json", {**summary(benchmark, units, evaluation), "per_query": per_query})
    for result in evaluation.results:
        for suffix, ranking in (("", result.top), ("_subset", result.subset_top)):
            if ranking is not None:
                run.write_json(f"rankings/{result.name}{suffix}.json", ranking)


def unit_digest(unit: EvalUnit) -> str:
    """SHA-256 of what is asked: queries, gallery and metrics, wherever the pictures lie."""
    asked = jsonable([unit.queries, unit.gallery, unit.metrics, unit.exclude_reference])
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _intervals(
    benchmark: Benchmark, results: Sequence[UnitResult], resamples: int
) -> dict[str, dict[str, tuple[float, float]]]:
    """Bootstrap intervals in percent, of the units' metrics and of the averages over units."""
    intervals = {
        result.name: {
            name: _percent(bootstrap_ci(values, level=LEVEL, resamples=resamples))
            for name, values in result.per_query.items()
        }
        for result in results
    }
    return {**intervals, **_average_intervals(benchmark, results, resamples)}


def _average_intervals(
    benchmark: Benchmark, results: Sequence[UnitResult], resamples: int
) -> dict[str, dict[str, tuple[float, float]]]:
    """The same for averages; queries are drawn anew within each unit, as its number of queries is no accident."""
    means = {result.name: result.metrics for result in results}
    if not benchmark.averages(means):
        return {}
    drawn = {result.name: _drawn_means(result, np.random.default_rng(0), resamples) for result in results}
    rows = [benchmark.averages({name: draws[index] for name, draws in drawn.items()}) for index in range(resamples)]
    tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    intervals: dict[str, dict[str, tuple[float, float]]] = {}
    for name, metrics in rows[0].items():
        columns = {metric: np.quantile([row[name][metric] for row in rows], tails) for metric in metrics}
        intervals[name] = {metric: (float(low), float(high)) for metric, (low, high) in columns.items()}
    return intervals


def _drawn_means(result: UnitResult, rng: np.random.Generator, resamples: int) -> list[dict[str, float]]:
    """The unit's metrics in percent for each drawing of its queries."""
    values = 100 * np.array(list(result.per_query.values()))  # (metrics, queries)
    draws = (values[:, rng.integers(0, result.n, result.n)].mean(axis=1) for _ in range(resamples))
    return [dict(zip(result.per_query, map(float, draw), strict=True)) for draw in draws]


def _percent(interval: tuple[float, float]) -> tuple[float, float]:
    return 100 * interval[0], 100 * interval[1]
