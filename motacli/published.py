"""Published numbers to reproduce: what was reported, on whose word, with which options, and how close a run came.

The numbers are in ``published.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

from motacli.config import parse_options, refuse_mistakes
from motacli.errors import DataError, UnknownNameError, UsageError
from motacli.metrics import check_name
from motacli.runs import explained

FILE = Path(__file__).with_suffix(".toml")
KEBAB = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
ROUNDING = 1e-9
Verdict = Literal["equal", "close", "off", "not scored"]


@dataclass(frozen=True, slots=True)
class Published:
    """What was reported of one system on one benchmark; ``published.toml`` explains every field.

    ``metrics`` are percentages by unit and metric. They are decimals because the digits that were printed say how
    exactly a number is known.
    """

    key: str
    benchmark: str
    method: str
    variant: Literal["paper", "released file", "rerun", "retrained", "not stated"]
    split: str
    source: str
    confidence: Literal["repository", "maintainer", "third party", "second-hand"]
    tolerance: Decimal
    metrics: Mapping[str, Mapping[str, Decimal]]
    model: str | None = None
    pretrained: str | None = None
    inversion: str | None = None
    weights: str | None = None
    preprocess: Literal["clip", "targetpad"] | None = None
    protocol: str | None = None
    parts: tuple[str, ...] = ()
    scored_by: Literal["mota", "server"] = "mota"
    note: str = ""

    def __post_init__(self) -> None:
        if mistakes := list(_mistakes(self)):
            raise ValueError("; ".join(mistakes))


@dataclass(frozen=True, slots=True)
class Configuration:
    """The options of ``mota eval`` that repeat a published run; ``inversion_weights`` still has to be fetched.

    ``scored_by`` "server" means that the run can only write what the benchmark's server then scores.
    """

    benchmark: str
    model: str
    pretrained: str
    inversion: str
    inversion_weights: str
    preprocess: str
    protocol: str
    split: str
    parts: tuple[str, ...]
    scored_by: Literal["mota", "server"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One published number beside ours, in percent.

    ``verdict``: "equal" up to the rounding of the published number, "close" within the tolerance, "off" beyond it, "not
    scored" where the run has no such number.
    """

    unit: str
    metric: str
    expected: float
    got: float | None
    difference: float | None
    verdict: Verdict


@cache
def published() -> tuple[Published, ...]:
    """Every published result, in the order of the file."""
    return read_published(FILE)


def find(key: str, benchmark: str) -> Published:
    """The result of a system on a benchmark; `UnknownNameError` with what there is otherwise."""
    found = {entry.benchmark: entry for entry in published() if entry.key == key}
    if not found:
        raise UnknownNameError("published result", key, {entry.key for entry in published()})
    if benchmark not in found:
        raise UnknownNameError(f"benchmark of published result {key!r}", benchmark, found)
    return found[benchmark]


def configuration(entry: Published) -> Configuration:
    """How to repeat a published run; `UsageError` where that takes what was never released or stated."""
    wanted = {
        "inversion": "it is no inversion network",
        "weights": "its weights were not released",
        "model": "its backbone is not known",
        "pretrained": "its backbone is not known",
        "preprocess": "how pictures were prepared is not known",
        "protocol": "its prompts are not known",
    }
    for name, reason in wanted.items():
        if getattr(entry, name) is None:
            raise UsageError(f"{entry.key} on {entry.benchmark} cannot be repeated: {reason}", entry.note)
    return Configuration(
        benchmark=entry.benchmark,
        model=str(entry.model),
        pretrained=str(entry.pretrained),
        inversion=str(entry.inversion),
        inversion_weights=str(entry.weights),
        preprocess=str(entry.preprocess),
        protocol=str(entry.protocol),
        split=entry.split,
        parts=entry.parts,
        scored_by=entry.scored_by,
    )


def compare(entry: Published, units: Mapping[str, Mapping[str, float]]) -> list[Comparison]:
    """Every published number beside that of a run: ``units`` are its metrics in percent by unit and metric."""
    return [
        _compared(unit, metric, expected, units.get(unit, {}).get(metric), float(entry.tolerance))
        for unit, metrics in entry.metrics.items()
        for metric, expected in metrics.items()
    ]


def _compared(unit: str, metric: str, expected: Decimal, got: float | None, tolerance: float) -> Comparison:
    if got is None:
        return Comparison(unit, metric, float(expected), None, None, "not scored")
    difference = got - float(expected)
    half_digit = 0.5 * 10.0 ** int(expected.as_tuple().exponent)
    verdict: Verdict = "off"
    if abs(difference) <= half_digit + ROUNDING:
        verdict = "equal"
    elif abs(difference) <= tolerance + ROUNDING:
        verdict = "close"
    return Comparison(unit, metric, float(expected), got, difference, verdict)


# ---------------------------------------------------------------------------------------------- reading


def read_published(path: Path) -> tuple[Published, ...]:
    """The results in a file like ``published.toml``; `UsageError` names every mistake in it."""
    with explained(path):
        text = path.read_text(encoding="utf-8")
    try:
        systems = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is not valid TOML: {error}") from error
    entries: list[Published] = []
    mistakes: list[str] = []
    for key, table in systems.items():
        for values in _results(key, table, mistakes):
            try:
                entries.append(parse_options(Published, values, f"[{key}.{values['benchmark']}]"))
            except UsageError as error:
                mistakes.append(str(error))
    refuse_mistakes(str(path), mistakes)
    return tuple(entries)


def _results(key: str, table: Any, mistakes: list[str]) -> Iterator[dict[str, Any]]:
    """The fields of each result of a system: its own, then what the system says for all of them."""
    if not isinstance(table, dict):
        mistakes.append(f"{key} must be a table")
        return
    tables = {name: value for name, value in table.items() if isinstance(value, dict)}
    shared = {name: value for name, value in table.items() if name not in tables}
    if not tables:
        mistakes.append(f"[{key}] reports nothing: it has no table [{key}.BENCHMARK]")
    for benchmark, own in tables.items():
        yield {**shared, **own, "key": key, "benchmark": benchmark}


def _mistakes(entry: Published) -> Iterator[str]:
    if not KEBAB.fullmatch(entry.key):
        yield f"{entry.key!r} is not in kebab-case"
    if not (entry.tolerance.is_finite() and entry.tolerance >= 0):
        yield f"tolerance is {entry.tolerance}, not a number of points"
    if not entry.metrics or not all(entry.metrics.values()):
        yield "metrics are empty"
    for unit, metrics in entry.metrics.items():
        if not unit.startswith(f"{entry.benchmark}_"):
            yield f"unit {unit!r} is not one of {entry.benchmark}"
        for name, value in metrics.items():
            try:
                check_name(name)
            except UnknownNameError as error:
                yield f"{unit}: {error}"
            if not (value.is_finite() and 0 <= value <= 100):
                yield f"{unit}: {name} is {value}, not a percentage"
