"""A backbone on a benchmark: every unit's features once, then any number of query sources scored on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motacli.benchmarks.images import require_images
from motacli.benchmarks.protocol import DEFAULT_PROTOCOL
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone, Benchmark, EvalUnit
from motacli.errors import DataError, MotaError
from motacli.evaluation import UnitResult, report_units, score_unit
from motacli.query_sources import QueryInputs, QuerySource

RESAMPLES = 2000


@dataclass(frozen=True)
class UnitData:
    """A unit with what it takes to score it: unit features ``(G, d)`` in the order of its gallery, and its queries."""

    unit: EvalUnit
    gallery: np.ndarray
    inputs: QueryInputs


@dataclass(frozen=True)
class Evaluation:
    """The results of one query source on the units of a benchmark, and the JSON report made of them."""

    results: tuple[UnitResult, ...]
    report: dict[str, dict[str, dict[str, Any]]]


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
    progress = progress or NullProgress()
    units = benchmark.load(root, split, parts)
    if cache_dir is None:
        for unit in units:
            require_images(unit)
        encode = partial(_encode, batch_size=batch_size, workers=workers, progress=progress)
        return [unit_data(unit, encode(unit, backbone), benchmark, backbone, protocol) for unit in units]
    return [unit_data(unit, _cached(cache_dir, unit, backbone), benchmark, backbone, protocol) for unit in units]
