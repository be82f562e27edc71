"""Run folders written by hand, for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Values = Mapping[str, Mapping[str, Sequence[float]]]
"""Units to metrics to one value in 0..1 per query."""

PAIR: Values = {"cirr_val": {"R@1": [0, 0, 1, 0], "R@5": [1, 0, 1, 0], "mean_of_R@5_and_Rsubset@1": [1, 0, 1, 0]}}


def write_run(
    folder: Path,
    values: Values = PAIR,
    *,
    benchmark: str = "cirr",
    query: str = "text only",
    averages: Mapping[str, Mapping[str, float]] | None = None,
    ids: Sequence[str] | None = None,
    ranks: Mapping[str, Sequence[Sequence[float | None]]] | None = None,
    rankings: Mapping[str, Sequence[Sequence[str]]] | None = None,
    config: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    **others: Any,
) -> Path:
    """A run of ``mota eval`` as far as reports read it; intervals reach one point to both sides."""
    units: dict[str, Any] = {}
    per_query: dict[str, Any] = {}
    for unit, columns in values.items():
        count = len(next(iter(columns.values())))
        units[unit] = _row({metric: 100 * sum(column) / count for metric, column in columns.items()}, count)
        per_query[unit] = {"ids": list(ids or map(str, range(count))), "values": columns}
        if ranks:
            per_query[unit]["ranks"] = ranks[unit]
    for name, metrics in (averages or {}).items():
        units[name] = _row(metrics, 0)
    document = {
        "benchmark": benchmark,
        "split": "val",
        "query": query,
        "units": units,
        "per_query": per_query,
        **others,
    }
    _write(folder / "metrics.json", document)
    for unit, ranked in (rankings or {}).items():
        scores = [[1 - place / 100 for place in range(len(row))] for row in ranked]
        _write(
            folder / "rankings" / f"{unit}.json",
            {"query_ids": per_query[unit]["ids"], "ids": ranked, "scores": scores},
        )
    if config is not None:
        _write(folder / "config.json", {"eval": config})
    if provenance is not None:
        _write(folder / "provenance.json", provenance)
    return folder


def _row(metrics: Mapping[str, float], count: int) -> dict[str, Any]:
    return {"metrics": metrics, "n": count, "ci": {name: [value - 1, value + 1] for name, value in metrics.items()}}


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
