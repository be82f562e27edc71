"""Every way to query, on every mini benchmark: metrics in percent by source and benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from torch import Tensor

from motacli.contracts import Adapter, Backbone, Benchmark, EvalUnit, Inversion
from motacli.errors import DataError
from motacli.evaluating import UnitData, evaluate, load_units
from motacli.query_sources import Composed, ImageOnly, LateFusion, QueryInputs, QuerySource, Sum, TextOnly
from motacli.runs import explained, write_json

Metrics = Mapping[str, float]
Scores = dict[str, dict[str, dict[str, float]]]
"""Source to benchmark to metric to percent."""
FUSED = " fused"


def source_name(inversion: str, seed: int | None = None, fused: bool = False) -> str:
    """The key of an inversion network in `Scores`, alone or with the adapter of a seed."""
    return inversion + ("" if seed is None else f" mota-{seed}") + (FUSED if fused else "")


@dataclass(frozen=True)
class MiniBenchmark:
    """A benchmark with its features. R@1 is scored too where the benchmark's own protocol leaves it out."""

    benchmark: Benchmark
    units: Sequence[UnitData]

    @classmethod
    def load(
        cls, benchmark: Benchmark, root: Path, features: Path, backbone: Backbone, split: str | None = None
    ) -> MiniBenchmark:
        """Read the annotations below ``root`` and the features that ``mota cache`` wrote."""
        units = load_units(benchmark, root, backbone, split=split, cache_dir=features)
        return cls(benchmark, [replace(data, unit=_with_recall_at_1(data)) for data in units])

    def score(self, source: QuerySource) -> dict[str, float]:
        """Each metric in percent, averaged over the units as the benchmark's papers do."""
        results = evaluate(self.benchmark, self.units, source, resamples=0).results
        return {metric: fmean(result.metrics[metric] for result in results) for metric in results[0].metrics}


def _with_recall_at_1(data: UnitData) -> EvalUnit:
    metrics = data.unit.metrics
    return data.unit if "R@1" in metrics else replace(data.unit, metrics=("R@1", *metrics))


@dataclass(frozen=True)
class Once:
    """A query source that is asked once for each unit's queries, however often it is used, as for late fusion."""

    source: QuerySource
    _made: dict[int, Tensor] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The source's own."""
        return self.source.name

    def vectors(self, inputs: QueryInputs) -> Tensor:
        """Unit vectors ``(Q, d)``."""
        if id(inputs) not in self._made:
            self._made[id(inputs)] = self.source.vectors(inputs)
        return self._made[id(inputs)]


def plain_sources(fused: Inversion, weight: float) -> dict[str, QuerySource]:
    """The baselines; late fusion adds the picture to the base query of the inversion network ``fused``."""
    return {
        "image": ImageOnly(),
        "text": TextOnly(),
        "sum": Sum(),
        "late-fusion": LateFusion(Composed(fused), weight),
    }


def inversion_sources(inversion: Inversion, adapters: Mapping[int, Adapter], weight: float) -> dict[str, QuerySource]:
    """An inversion network alone, with the adapter of each seed, and all of these with late fusion."""
    name = inversion.name
    queries: dict[str, QuerySource] = {source_name(name): Once(Composed(inversion))}
    queries |= {source_name(name, seed): Once(Composed(inversion, adapter)) for seed, adapter in adapters.items()}
    fused = {key + FUSED: LateFusion(source, weight) for key, source in queries.items()}
    return {**queries, **fused}


@dataclass(frozen=True)
class ScoreFile:
    """The scores so far, on disk."""

    path: Path

    def read(self) -> Scores:
        """What is there; empty where there is nothing yet."""
        if not self.path.exists():
            return {}
        try:
            with explained(self.path):
                found: Scores = json.loads(self.path.read_text("utf-8"))
        except ValueError as error:
            raise DataError(f"{self.path} is damaged: {error}", "remove it and run the demo again") from error
        return found

    def add(self, sources: Mapping[str, QuerySource], benchmarks: Iterable[tuple[str, MiniBenchmark]]) -> None:
        """Score the sources that are not there yet, all of them before any is written."""
        scores = self.read()
        wanted = {name: source for name, source in sources.items() if name not in scores}
        if wanted:
            loaded = list(benchmarks)
            for name, source in wanted.items():
                scores[name] = {benchmark: mini.score(source) for benchmark, mini in loaded}
            write_json(self.path, scores)
