"""Our way and the baseline's on the same inputs: seconds from interleaved runs, memory from a process for each side.

The two sides take turns, so that a machine that gets slower or busier does so for both. Their results have to agree, or
there is nothing to compare.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol, runtime_checkable

from motacli.bench.memory import Peak, peak_memory
from motacli.console import NullProgress, Progress

SETTLING = 0.5
"""Seconds between two runs, so that each starts as if it were alone: a library's idle threads go on spinning for a
while at the next run's expense, and memory just freed is cheaper to get again than it is in an evaluation of its own.
"""

Work = Callable[[], Any]
"""What is timed: everything it needs is imported and in memory."""


class Case(Protocol):
    """One comparison. It is pickled to reach the processes that measure memory."""

    @property
    def name(self) -> str: ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """How large it is, for the report, as in ``{"queries": 4181}``."""

    def inputs(self, seed: int) -> Any:
        """What both sides start from; imports nothing that only one of them needs."""

    def ours(self, inputs: Any) -> Work:
        """Our side."""

    def baseline(self, inputs: Any) -> Work:
        """The other side."""

    def check(self, inputs: Any, ours: Any, baseline: Any) -> int:
        """Raise `MotaError` unless the sides' results are the same; how many differ within what rounding explains."""


@runtime_checkable
class Counted(Protocol):
    """A case whose work comes in units, so that its speed can be told in units per second."""

    @property
    def counted(self) -> tuple[str, int]:
        """Their name and how many a run of either side goes through, as in ``("samples", 64)``."""


@runtime_checkable
class Judged(Protocol):
    """A case with goals of its own, told in figures of its own."""

    def figures(self, seconds: float, baseline_seconds: float) -> Mapping[str, float]:
        """Its figures by name, from the medians of both sides."""


@runtime_checkable
class Compared(Protocol):
    """A case whose sides' results differ by what it tells in figures."""

    def compared(self, ours: Any, baseline: Any) -> Mapping[str, float]:
        """Its figures by name, from the results of both sides."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each run of both sides, and the results of their first."""

    ours: tuple[float, ...]
    baseline: tuple[float, ...]
    results: tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case's numbers.

    ``speedup`` is the baseline's seconds by ours, medians of ``repeats`` runs; more is better. ``memory_ratio`` is our
    peak by the baseline's, less is better, where a peak is what the work adds on top of its inputs. ``total_peak_mb``
    is the whole process with interpreter and inputs, in a process that does nothing else. Megabytes are 10^6 bytes.
    ``near_ties`` counts results that differ because the baseline's rounding cannot tell two scores apart. ``rates`` are
    both sides' units per second, by name, of a case that is `Counted`; ``figures`` are those of one that is `Judged` or
    `Compared`.
    """

    name: str
    speedup: float
    memory_ratio: float
    seconds: float
    baseline_seconds: float
    seconds_range: tuple[float, float]
    baseline_seconds_range: tuple[float, float]
    peak_mb: float
    baseline_peak_mb: float
    total_peak_mb: float
    baseline_total_peak_mb: float
    near_ties: int
    repeats: int
    sizes: Mapping[str, int]
    rates: Mapping[str, float]
    figures: Mapping[str, float]

    @property
    def own(self) -> Mapping[str, float]:
        """What only cases of its kind have: rates and figures."""
        return {**self.rates, **self.figures}

    def record(self) -> dict[str, Any]:
        """The fields by name, rates, figures and sizes among them."""
        apart = ("sizes", "rates", "figures")
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in apart}
        return {**fields, **self.own, **self.sizes}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a case, still to be prepared: what a process that measures memory is sent."""

    case: Case
    name: str
    seed: int

    def __call__(self) -> Work:
        """Make the inputs; the work on them is left to do."""
        prepare: Callable[[Any], Work] = getattr(self.case, self.name)
        return prepare(self.case.inputs(self.seed))


def compare_all(
    cases: Sequence[Case], *, repeats: int, seed: int = 0, progress: Progress | None = None
) -> list[Comparison]:
    """`compare` each case in turn."""
    progress = progress or NullProgress()
    return [compare(case, repeats=repeats, seed=seed, progress=progress) for case in progress.track(cases, "cases")]


def compare(case: Case, *, repeats: int, seed: int = 0, progress: Progress | None = None) -> Comparison:
    """Measure both sides of a case."""
    progress = progress or NullProgress()
    # Memory comes first: some systems count what a parent once used as its children's own.
    sides = [Side(case, name, seed) for name in ("ours", "baseline")]
    ours, baseline = [peak_memory(side) for side in progress.track(sides, f"{case.name}: memory")]
    inputs = case.inputs(seed)
    timing = interleave(case.ours(inputs), case.baseline(inputs), repeats, progress=progress, title=case.name)
    return summarize(case, timing, ours, baseline, case.check(inputs, *timing.results))


def interleave(
    ours: Work,
    baseline: Work,
    repeats: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    pause: Callable[[float], None] = time.sleep,
    progress: Progress | None = None,
    title: str = "",
) -> Timing:
    """Time ours, baseline, ours, baseline, and so on, with a pause before each."""
    seconds: tuple[list[float], list[float]] = ([], [])
    results: list[Any] = []
    for turn in (progress or NullProgress()).track(range(repeats), f"{title}: time"):
        for times, work in zip(seconds, (ours, baseline), strict=True):
            gc.collect()  # the other side's garbage is not this side's to clear
            pause(SETTLING)
            start = clock()
            result = work()
            times.append(clock() - start)
            if turn == 0:
                results.append(result)
            del result
    return Timing(tuple(seconds[0]), tuple(seconds[1]), (results[0], results[1]))


def summarize(case: Case, timing: Timing, ours: Peak, baseline: Peak, near_ties: int) -> Comparison:
    """The numbers of a case from what was measured."""
    seconds, baseline_seconds = median(timing.ours), median(timing.baseline)
    return Comparison(
        name=case.name,
        speedup=_ratio(baseline_seconds, seconds),
        memory_ratio=_ratio(ours.added_mb, baseline.added_mb),
        seconds=seconds,
        baseline_seconds=baseline_seconds,
        seconds_range=(min(timing.ours), max(timing.ours)),
        baseline_seconds_range=(min(timing.baseline), max(timing.baseline)),
        peak_mb=ours.added_mb,
        baseline_peak_mb=baseline.added_mb,
        total_peak_mb=ours.total_mb,
        baseline_total_peak_mb=baseline.total_mb,
        near_ties=near_ties,
        repeats=len(timing.ours),
        sizes=case.sizes,
        rates=_rates(case, seconds, baseline_seconds),
        figures={
            **(case.figures(seconds, baseline_seconds) if isinstance(case, Judged) else {}),
            **(case.compared(*timing.results) if isinstance(case, Compared) else {}),
        },
    )


def _rates(case: Case, seconds: float, baseline_seconds: float) -> dict[str, float]:
    if not isinstance(case, Counted):
        return {}
    name, count = case.counted
    return {
        f"{name}_per_second": _ratio(count, seconds),
        f"baseline_{name}_per_second": _ratio(count, baseline_seconds),
    }


def _ratio(numerator: float, denominator: float) -> float:
    """NaN, which JSON shows as null, where a case is too small to measure."""
    return numerator / denominator if denominator else math.nan
