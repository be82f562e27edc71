"""Turns, medians and ratios, on a clock that the works themselves move."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import pytest

from motacli.bench import find_cases, harness
from motacli.bench.harness import SETTLING, Timing, interleave, summarize
from motacli.bench.memory import Peak
from motacli.errors import MotaError, UnknownNameError


@dataclass
class Worker:
    """Works that take the given seconds in turn, note who ran, and return who did for how often."""

    seconds: Mapping[str, list[float]]
    now: float = 0.0
    turns: list[str] = field(default_factory=list)

    def work(self, side: str) -> str:
        self.now += self.seconds[side][self.turns.count(side)]
        self.turns.append(side)
        return f"{side} {self.turns.count(side)}"


@dataclass
class FakeCase:
    """A case whose sides do nothing but return their names."""

    name: str = "case"
    agree: bool = True
    sizes: Mapping[str, int] = field(default_factory=lambda: {"rows": 7})

    def inputs(self, seed: int) -> int:
        return seed

    def ours(self, inputs: int) -> Callable[[], str]:
        return lambda: f"ours {inputs}"

    def baseline(self, inputs: int) -> Callable[[], str]:
        return lambda: f"baseline {inputs}"

    def check(self, inputs: int, ours: str, baseline: str) -> int:
        assert (ours, baseline) == (f"ours {inputs}", f"baseline {inputs}")
        if not self.agree:
            raise MotaError("they differ")
        return 2


def test_the_sides_take_turns_and_their_first_results_are_kept() -> None:
    worker = Worker({"ours": [1, 2, 9], "baseline": [10, 40, 20]})
    works = [partial(worker.work, side) for side in ("ours", "baseline")]
    pauses: list[float] = []
    timing = interleave(*works, 3, clock=lambda: worker.now, pause=pauses.append)
    assert worker.turns == ["ours", "baseline"] * 3 and pauses == [SETTLING] * 6
    assert timing == Timing((1, 2, 9), (10, 40, 20), ("ours 1", "baseline 1"))


def test_ratios_are_of_medians() -> None:
    timing = Timing((1.0, 2.0, 9.0), (10.0, 40.0, 20.0), (None, None))
    record = summarize(FakeCase(), timing, Peak(5.0, 50.0), Peak(20.0, 90.0), 0).record()
    assert record == {
        "name": "case",
        "speedup": 10.0,
        "memory_ratio": 0.25,
        "seconds": 2.0,
        "baseline_seconds": 20.0,
        "seconds_range": (1.0, 9.0),
        "baseline_seconds_range": (10.0, 40.0),
        "peak_mb": 5.0,
        "baseline_peak_mb": 20.0,
        "total_peak_mb": 50.0,
        "baseline_total_peak_mb": 90.0,
        "near_ties": 0,
        "repeats": 3,
        "rows": 7,
    }
    assert math.isnan(summarize(FakeCase(), timing, Peak(5.0, 50.0), Peak(0.0, 90.0), 0).memory_ratio)


def test_sides_that_disagree_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def peak(side: harness.Side) -> Peak:
        measured.append((side.name, side()()))
        return Peak(1.0, 2.0)

    monkeypatch.setattr(harness, "peak_memory", peak)
    monkeypatch.setattr(harness, "SETTLING", 0.0)
    (found,) = harness.compare_all([FakeCase()], repeats=1, seed=4)
    assert (found.near_ties, found.repeats) == (2, 1)
    assert measured == [("ours", "ours 4"), ("baseline", "baseline 4")]
    with pytest.raises(MotaError, match="they differ"):
        harness.compare(FakeCase(agree=False), repeats=1)


def test_cases_by_name() -> None:
    assert [case.name for case in find_cases("eval")] == ["cirr-val", "fashioniq", "circo"]
    assert [case.name for case in find_cases("eval", ["circo", "cirr-val", "circo"])] == ["cirr-val", "circo"]
    with pytest.raises(UnknownNameError, match="did you mean 'eval'"):
        find_cases("evla")
    with pytest.raises(UnknownNameError, match="did you mean 'cirr-val'"):
        find_cases("eval", ["cirr"])
