"""Everything that stands between a data root and an evaluation, found in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from motacli.benchmarks.integrity import (
    AffectedQuery,
    BrokenPicture,
    affected_queries,
    find_broken,
)
from motacli.benchmarks.layout import layout_remarks
from motacli.console import Progress
from motacli.contracts import Benchmark, EvalUnit
from motacli.errors import DataError


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, and what to do about it."""

    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class UnitCheck:
    """A unit's sizes, its broken pictures, and the queries that name them."""

    name: str
    queries: int
    gallery: int
    pictures: int
    broken: tuple[BrokenPicture, ...]
    affected_queries: tuple[AffectedQuery, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkCheck:
    """The state of a benchmark on disk; ``ok`` means that it can be evaluated."""

    benchmark: str
    split: str
    ok: bool
    units: tuple[UnitCheck, ...]
    problems: tuple[Problem, ...]


def check_benchmark(
    benchmark: Benchmark,
    root: Path,
    split: str | None = None,
    parts: Sequence[str] = (),
    *,
    pictures: bool = True,
    workers: int = 0,
    progress: Progress | None = None,
) -> BenchmarkCheck:
    """Read every annotation file and, if asked to, decode every picture.

    A part whose annotations are missing or wrong is a problem and does not keep the others from being checked. Raises
    `UsageError` for an unknown split or part.
    """
    units, problems = _loaded(benchmark, root, split, parts)
    hint = getattr(benchmark, "images_hint", "complete the image folder")
    if pictures and problems:
        problems.append(Problem("the pictures that only these files name were not looked at", hint))
    broken = find_broken(units, workers, progress) if pictures else [{} for _ in units]
    for unit, own in zip(units, broken, strict=True):
        if own:
            problems.append(Problem(f"{unit.name}: {len(own)} of {len(unit.images)} pictures cannot be used", hint))
    problems += [Problem(remark.what, remark.hint or hint) for remark in layout_remarks(root, units, broken)]
    return BenchmarkCheck(
        benchmark=benchmark.name,
        split=split or benchmark.splits[0],
        ok=not problems,
        units=tuple(_unit(unit, own) for unit, own in zip(units, broken, strict=True)),
        problems=tuple(problems),
    )


def _loaded(
    benchmark: Benchmark, root: Path, split: str | None, parts: Sequence[str]
) -> tuple[list[EvalUnit], list[Problem]]:
    """The units that load, and the problems of those that do not."""
    units: list[EvalUnit] = []
    problems: dict[str, Problem] = {}
    for part in parts or benchmark.parts or (None,):
        try:
            units += benchmark.load(root, split, () if part is None else (part,))
        except DataError as error:
            problems.setdefault(error.message, Problem(error.message, error.hint))
    return units, list(problems.values())


def _unit(unit: EvalUnit, broken: dict[str, BrokenPicture]) -> UnitCheck:
    return UnitCheck(
        name=unit.name,
        queries=len(unit.queries),
        gallery=len(unit.gallery),
        pictures=len(unit.images),
        broken=tuple(broken.values()),
        affected_queries=tuple(affected_queries(unit, broken)),
    )
