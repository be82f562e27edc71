"""What an evaluation found and how it was made: the report that ``--json`` prints and a run's folder keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from motacli.benchmarks.protocol import EvalProtocol
from motacli.contracts import Benchmark, EvalUnit
from motacli.evaluation import UnitResult, report_units
from motacli.intervals import RESAMPLES, report_intervals
from motacli.runs import RunDir, jsonable
from motacli.search.stores import StoreChoice

HEADLINES = {
    "fashioniq": ("R@10", "R@50"),
    "cirr": ("R@1", "R@10", "Rsubset@1"),
    "circo": ("mAP@10",),
    "genecis": ("R@1",),
}
"""What tables show of a benchmark; of any other it is its ``headline``."""


@dataclass(frozen=True)
class Weights:
    """A model or a file behind a result: what it is called, and a digest of its contents."""

    name: str
    digest: str


@dataclass(frozen=True)
class Setup:
    """What a result depends on besides the data.

    ``preprocess`` is how pictures were made square, None where nothing here encoded any. ``weights`` are those of
    backbone, inversion and adapter, or the files that came in their place. ``dropped`` says by unit what
    ``--drop-broken`` left out. ``index_store`` ranked where it is not None.
    """

    protocol: EvalProtocol
    preprocess: str | None = None
    weights: Mapping[str, Weights] = field(default_factory=dict)
    dropped: Mapping[str, Any] = field(default_factory=dict)
    index_store: StoreChoice | None = None


@dataclass(frozen=True)
class Evaluation:
    """The results of one query source on the units of a benchmark, and the JSON report made of them.

    ``source`` is its name. ``results`` keep the values of every query. To what `report_units` says of units and
    averages ``report`` adds ``ci``: a 95 % interval per metric, in percent, over which queries were asked.
    """

    source: str
    units: tuple[EvalUnit, ...]
    results: tuple[UnitResult, ...]
    report: dict[str, dict[str, dict[str, Any]]]


def make_evaluation(
    benchmark: Benchmark,
    source: str,
    units: Sequence[EvalUnit],
    results: Sequence[UnitResult],
    resamples: int = RESAMPLES,
) -> Evaluation:
    """An evaluation from the results of its units; ``resamples`` is for the intervals, 0 leaves them out."""
    report = report_units(benchmark, results)
    if resamples:
        for name, intervals in report_intervals(benchmark, units, results, resamples).items():
            report["units"][name]["ci"] = intervals
    return Evaluation(source, tuple(units), tuple(results), report)


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


def summary(benchmark: Benchmark, evaluation: Evaluation, setup: Setup) -> dict[str, Any]:
    """Benchmark, split, query source, setup, headline and report: what ``--json`` prints."""
    return {
        "benchmark": benchmark.name,
        "split": evaluation.units[0].split,
        "query": evaluation.source,
        "protocol": setup.protocol.record(),
        "preprocess": setup.preprocess,
        "weights": jsonable(setup.weights),
        "dropped": jsonable(setup.dropped),
        **({"index_store": jsonable(setup.index_store)} if setup.index_store else {}),
        "headline": headline(benchmark, evaluation),
        **evaluation.report,
    }


def write_evaluation(run: RunDir, benchmark: Benchmark, evaluation: Evaluation, setup: Setup) -> None:
    """Write ``metrics.json``, with the values and ranks of every query, and rankings where they were kept."""
    per_query = {
        result.name: {
            "ids": [query.id for query in unit.queries],
            "values": result.per_query,
            "ranks": result.ranks,
        }
        for unit, result in zip(evaluation.units, evaluation.results, strict=True)
    }
    run.write_json("metrics.json", {**summary(benchmark, evaluation, setup), "per_query": per_query})
    for result in evaluation.results:
        for suffix, ranking in (("", result.top), ("_subset", result.subset_top)):
            if ranking is not None:
                run.write_json(f"rankings/{result.name}{suffix}.json", ranking)


def unit_digest(unit: EvalUnit) -> str:
    """SHA-256 of what is asked: queries, gallery and what is counted, wherever the pictures lie."""
    rules = (unit.metrics, unit.exclude_reference, unit.ap_divisor, unit.ties)
    asked = jsonable([unit.queries, unit.gallery, rules])
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
