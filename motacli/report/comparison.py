"""Runs side by side, as papers show them: a table per benchmark and split, and what each run has over the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from motacli.errors import UsageError
from motacli.report.pairs import differences, remarks
from motacli.report.runs import Run, RunUnit
from motacli.significance import RESAMPLES, Difference, holm

ALPHA = 0.05
"""Differences are called significant below this, after Holm's correction over the table."""
DECIMALS = 2
"""Of numbers in tables: two that look the same there are both the best."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What papers show of a benchmark: ``metrics`` of its units, ``averaged`` of the average over them."""

    title: str
    metrics: tuple[str, ...]
    averaged: tuple[str, ...] = ()


LAYOUTS = {
    "fashioniq": Layout("FashionIQ", ("R@10", "R@50"), ("R@10", "R@50")),
    "cirr": Layout("CIRR", ("R@1", "R@5", "R@10", "R@50", "Rsubset@1", "Rsubset@2", "Rsubset@3")),
    "circo": Layout("CIRCO", ("mAP@5", "mAP@10", "mAP@25", "mAP@50")),
    "genecis": Layout("GeneCIS", ("R@1", "R@2", "R@3"), ("R@1",)),
}
"""Of any other benchmark, and of units that have none of these, everything is shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """A metric of a unit. ``part`` is what tells the unit from others of its benchmark; empty where there is one."""

    unit: str
    metric: str
    part: str = ""

    @property
    def title(self) -> str:
        """``dress R@10``."""
        return f"{self.part} {self.metric}".strip()


@dataclass(frozen=True, slots=True)
class Number:
    """A value in percent with its 95 % interval; ``difference`` to the baseline is in points.

    ``p_holm`` is the difference's p-value, corrected over the table.
    """

    value: float
    n: int
    interval: tuple[float, float] | None = None
    best: bool = False
    difference: Difference | None = None
    p_holm: float | None = None

    @property
    def p(self) -> float | None:
        """The difference's own p-value."""
        return None if self.difference is None else self.difference.p

    @property
    def significant(self) -> bool:
        """Whether the difference is more than the choice of queries explains."""
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass(frozen=True, slots=True)
class Row:
    """A run and its numbers, one per column; None where it has none. ``name`` tells it from the table's other runs."""

    run: Run
    name: str
    numbers: tuple[Number | None, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The runs of one benchmark and split. Where there are several, the first is the baseline of the others.

    ``resamples`` and ``seed`` are those of intervals and tests of differences. ``notes`` say what makes the runs less
    comparable than they look.
    """

    benchmark: str
    split: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    resamples: int
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The benchmark as papers write it."""
        return LAYOUTS[self.benchmark].title if self.benchmark in LAYOUTS else self.benchmark

    @property
    def title(self) -> str:
        """``CIRR val``."""
        return f"{self.name} {self.split}"

    @property
    def baseline(self) -> Row | None:
        """The row that the others are compared with."""
        return self.rows[0] if len(self.rows) > 1 else None

    def headline(self) -> int:
        """The column that the benchmark is known by: of the average where there is one."""
        known = self.rows[0].run.headline[:1]
        found = [place for place, column in enumerate(self.columns) if column.metric in known]
        return found[-1] if found else 0

    def best_of(self, rows: Sequence[Row]) -> Row:
        """The one of ``rows`` with the best headline number."""
        place = self.headline()
        return max(rows, key=lambda row: number.value if (number := row.numbers[place]) else -1.0)


def compare(
    runs: Sequence[Run],
    baselines: Sequence[Run] = (),
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Table]:
    """One table per benchmark and split, in the order in which the runs bring them up.

    ``baselines`` become the first row of their tables, whether they are among ``runs`` or not. Raises `UsageError`
    where one has nothing to be compared with, and `DataError` where two runs answered different queries.
    """
    groups: dict[tuple[str, str], list[Run]] = {(run.benchmark, run.split): [] for run in (*runs, *baselines)}
    for run in _unique((*baselines, *runs)):
        groups[run.benchmark, run.split].append(run)
    for group in groups.values():
        _refuse_baselines(_unique(baselines), group)
    return [_table(group, seed, resamples) for group in groups.values()]


def _unique(runs: Sequence[Run]) -> list[Run]:
    found: dict[Path, Run] = {}
    for run in runs:
        found.setdefault(run.path.resolve(), run)
    return list(found.values())


def _refuse_baselines(baselines: Sequence[Run], group: Sequence[Run]) -> None:
    about = f"{group[0].benchmark} {group[0].split}"
    named = [run for run in baselines if (run.benchmark, run.split) == (group[0].benchmark, group[0].split)]
    if len(named) > 1:
        raise UsageError(f"{named[0].path} and {named[1].path} cannot both be the baseline of {about}")
    if named and len(group) == 1:
        raise UsageError(f"baseline {named[0].path} is a run of {about}, and no other run is", "give one to compare")


def part_of(unit: str, benchmark: str, split: str) -> str:
    """What tells a unit from its benchmark's others: ``dress`` of ``fashioniq_dress_test``, nothing of ``cirr_val``."""
    return unit.removeprefix(benchmark).removesuffix(f"_{split}").strip("_").replace("_", " ")


# ---------------------------------------------------------------------------------------------- one table


def _table(runs: Sequence[Run], seed: int, resamples: int) -> Table:
    columns = _columns(runs)
    baseline, *others = runs
    wanted = [(column.unit, column.metric) for column in columns]
    found = [{}, *(differences(baseline, other, wanted, seed=seed, resamples=resamples) for other in others)]
    rows = [
        Row(run, name, tuple(_number(run, *key, known.get(key)) for key in wanted))
        for run, name, known in zip(runs, _names(runs), found, strict=True)
    ]
    notes = [note for other in others for note in remarks(baseline, other)]
    return Table(
        benchmark=baseline.benchmark,
        split=baseline.split,
        columns=columns,
        rows=_corrected(_marked(rows)),
        resamples=resamples,
        seed=seed,
        notes=tuple(dict.fromkeys(notes)),
    )


def _columns(runs: Sequence[Run]) -> tuple[Column, ...]:
    """Metrics of every unit that any of the runs has, averages last."""
    units = {unit.name: unit for run in runs for unit in run.units.values()}
    benchmark, split = runs[0].benchmark, runs[0].split
    return tuple(
        Column(unit.name, metric, part_of(unit.name, benchmark, split))
        for unit in sorted(units.values(), key=lambda unit: unit.derived)
        for metric in _shown_metrics(unit, runs)
    )


def _shown_metrics(unit: RunUnit, runs: Sequence[Run]) -> list[str]:
    """What the layout shows of a unit. Without one a derived unit shows what it averages, which tags are not."""
    known = [other for run in runs for other in run.units.values()]
    here = dict.fromkeys(metric for other in known if other.name == unit.name for metric in other.metrics)
    layout = LAYOUTS.get(runs[0].benchmark)
    if unit.derived:
        averaged = dict.fromkeys(metric for other in known if not other.derived for metric in other.metrics)
        return [metric for metric in (layout.averaged if layout else averaged) if metric in here]
    return [metric for metric in (layout.metrics if layout else ()) if metric in here] or list(here)


def _names(runs: Sequence[Run]) -> list[str]:
    """What each run's queries are made of; with the folder's name, or even its path, where that is not enough."""
    names = [run.query for run in runs]
    for more in ("name", "path"):
        count = Counter(names)
        names = [
            f"{run.query} ({getattr(run, more)})" if count[name] > 1 else name
            for run, name in zip(runs, names, strict=True)
        ]
    return names


def _number(run: Run, name: str, metric: str, difference: Difference | None) -> Number | None:
    unit = run.units.get(name)
    if unit is None or metric not in unit.metrics:
        return None
    return Number(unit.metrics[metric], unit.n, unit.intervals.get(metric), difference=difference)


def _marked(rows: Sequence[Row]) -> list[Row]:
    """The rows with the best of each column marked; a table of one row has no best."""
    if len(rows) == 1:
        return list(rows)
    tops = [max(number.value for number in column if number) for column in zip(*(r.numbers for r in rows), strict=True)]
    marked = []
    for row in rows:
        paired = zip(row.numbers, tops, strict=True)
        best = [
            number and replace(number, best=round(number.value, DECIMALS) == round(top, DECIMALS))
            for number, top in paired
        ]
        marked.append(replace(row, numbers=tuple(best)))
    return marked


def _corrected(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows with every p-value corrected for the number of comparisons in the table."""
    p_values = iter(holm([n.p for row in rows for n in row.numbers if n and n.p is not None]))
    return tuple(
        replace(
            row,
            numbers=tuple(
                replace(number, p_holm=next(p_values)) if number and number.difference else number
                for number in row.numbers
            ),
        )
        for row in rows
    )
