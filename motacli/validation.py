"""A network under training on a benchmark: never the reason for anything unless ``--keep-best`` makes it one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from motacli.console import Progress
from motacli.contracts import Backbone, Benchmark
from motacli.evaluating import encode_units, evaluate, select_units
from motacli.query_sources import QuerySource
from motacli.watch import Validate

Wrap = Callable[[nn.Module], QuerySource]
"""The query source that a network under training is validated as."""


def validator(
    benchmark: Benchmark,
    root: Path,
    backbone: Backbone,
    wrap: Wrap,
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

    def validate(network: nn.Module) -> Mapping[str, float]:
        found = evaluate(benchmark, units, wrap(network), resamples=0)
        averages = benchmark.averages({result.name: result.metrics for result in found.results})
        return next(iter(averages.values()), found.results[0].metrics)

    return validate
