"""A network under training on a benchmark: never the reason for anything unless ``--keep-best`` makes it one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from motacli.console import Progress
from motacli.contracts import Backbone, Benchmark
from motacli.evaluating import encode_units, evaluate, select_units
from motacli.query_sources import Composed
from motacli.watch import Validate


def validator(
    benchmark: Benchmark,
    root: Path,
    backbone: Backbone,
    *,
    split: str | None = None,
    store: Path | None = None,
    progress: Progress | None = None,
) -> Validate:
    """Scores networks on a benchmark whose pictures are encoded once, now; in percent, by metric.

    The numbers are those of the benchmark's average over units where it has one, of its first unit otherwise.
    """
    protocol = benchmark.protocol("searle")
    units = encode_units(
        select_units(benchmark, root, protocol, split), backbone, protocol, store=store, progress=progress
    )

    def validate(phi: nn.Module) -> Mapping[str, float]:
        found = evaluate(benchmark, units, Composed(phi), resamples=0)  # type: ignore[arg-type]
        averages = benchmark.averages({result.name: result.metrics for result in found.results})
        return next(iter(averages.values()), found.results[0].metrics)

    return validate
