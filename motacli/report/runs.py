"""The folders that `mota eval --out` writes, read back and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from motacli.contracts import Ranking
from motacli.errors import DataError
from motacli.runs import CONFIG, PROVENANCE, partial_path

METRICS = "metrics.json"
MADE_BY = "give the folder that `mota eval --out` wrote"
AGAIN = "the file looks cut or edited; run `mota eval` again"


@dataclass(frozen=True, slots=True)
class RunUnit:
    """The numbers of one unit in percent, and behind them what each query was worth.

    ``intervals`` are the metrics' 95 % intervals. ``values`` ``(Q,)`` in 0..1 and ``ranks``, the 1-based ranks of each
    query's targets, infinite where they are unknown, follow ``query_ids``. Averages over units have neither.
    """

    name: str
    n: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    query_ids: tuple[str, ...] = ()
    values: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    ranks: tuple[tuple[float, ...], ...] = field(default=(), repr=False)

    @property
    def derived(self) -> bool:
        """Whether it has no queries of its own, as an average over units."""
        return not self.values


@dataclass(frozen=True, slots=True)
class Run:
    """One run of ``mota eval``.

    ``query`` says what its queries were made of, such as ``lincir + mota``. ``headline`` are the metrics it is known
    by. ``settings`` are what two runs must share to be compared, ``options`` those of the command line, ``provenance``
    is the file of that name.
    """

    path: Path
    benchmark: str
    split: str
    query: str
    headline: tuple[str, ...]
    units: Mapping[str, RunUnit] = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.absolute().name

    def ranking(self, unit: str) -> Ranking | None:
        """The best entries of each of the unit's queries; None where they were not kept."""
        path = self.path / "rankings" / f"{unit}.json"
        if not path.is_file():
            return None
        document = _object(path)
        with _checked(path):
            ids = tuple(tuple(map(str, row)) for row in document["ids"])
            ranking = Ranking(tuple(map(str, document["query_ids"])), ids, np.array(document["scores"], dtype=float))
            if not len(ranking.query_ids) == len(ids) == len(ranking.scores):
                raise ValueError("as many rankings as queries are needed")
        return ranking


def read_run(path: Path) -> Run:
    """A finished run's numbers. Raises `DataError` for what is none, or holds none."""
    metrics = _metrics_file(path)
    document = _object(metrics)
    if "units" not in document or "benchmark" not in document:
        raise DataError(f"{path} is no run of `mota eval`", MADE_BY)
    with _checked(metrics):
        per_query = document.get("per_query", {})
        units = {name: _unit(name, row, per_query.get(name, {})) for name, row in document["units"].items()}
        run = Run(
            path=path,
            benchmark=str(document["benchmark"]),
            split=str(document["split"]),
            query=str(document["query"]),
            headline=tuple(document.get("headline", ())),
            units=units,
            settings=_settings(document),
            options=_optional(path / CONFIG).get("eval", {}),
            provenance=_optional(path / PROVENANCE),
        )
    if not any(unit.metrics for unit in units.values()):
        raise DataError(f"{path} holds no scores", f"the targets of {run.benchmark} {run.split} are secret")
    return run


def _settings(document: Mapping[str, Any]) -> dict[str, Any]:
    """Protocol, preprocessing, backbone and index store, as far as the run knows of them."""
    known = {"protocol": document.get("protocol"), "preprocessing": document.get("preprocess")}
    known["index store"] = document.get("index_store")
    known["backbone"] = document.get("weights", {}).get("backbone")
    return {name: value for name, value in known.items() if value is not None}


@contextmanager
def _checked(path: Path) -> Iterator[None]:
    """Turn whatever reading a file's values raises into one error that names the file."""
    try:
        yield
    except KeyError as error:
        raise DataError(f"{path}: {error.args[0]!r} is missing", AGAIN) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: not what `mota eval` writes: {error}", AGAIN) from error


def _metrics_file(path: Path) -> Path:
    partial = partial_path(path)
    if path.name.endswith(".partial"):
        raise DataError(f"{path} is unfinished", "wait for its run to end, or run `mota eval` again")
    if not path.exists():
        hint = f"its run is unfinished: there is {partial.name}" if partial.exists() else MADE_BY
        raise DataError(f"no such run: {path}", hint)
    if not (path / METRICS).is_file():
        raise DataError(f"{path} is no run of `mota eval`: it holds no {METRICS}", MADE_BY)
    return path / METRICS


def _unit(name: str, row: Mapping[str, Any], queries: Mapping[str, Any]) -> RunUnit:
    values = {metric: _values(f"{name} {metric}", column) for metric, column in queries.get("values", {}).items()}
    ids = tuple(map(str, queries.get("ids", ())))
    # JSON has no infinity: a target that was not found has the rank null.
    ranks = tuple(tuple(math.inf if r is None else float(r) for r in each) for each in queries.get("ranks", ()))
    for length in (*map(len, values.values()), len(ranks) or len(ids)):
        if length != len(ids):
            raise ValueError(f"{name} has {len(ids)} queries and {length} values or ranks")
    if len(set(ids)) < len(ids):
        raise ValueError(f"{name} has two queries of the same id")
    return RunUnit(
        name=name,
        n=int(row["n"]),
        metrics={metric: float(value) for metric, value in row["metrics"].items()},
        intervals={metric: (float(low), float(high)) for metric, (low, high) in row.get("ci", {}).items()},
        query_ids=ids,
        values=values,
        ranks=ranks,
    )


def _values(name: str, column: Any) -> np.ndarray:
    values = np.array(column, dtype=np.float64)
    if values.ndim != 1 or not np.all(np.isfinite(values)):
        raise ValueError(f"{name} is no list of numbers")
    return values


def _optional(path: Path) -> dict[str, Any]:
    return _object(path) if path.is_file() else {}


def _object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", MADE_BY) from error
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}", AGAIN) from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: not a JSON object", AGAIN)
    return document
