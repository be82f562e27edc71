"""What the checks of a benchmark look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from motacli.contracts import EvalUnit, Query


@dataclass(frozen=True)
class BenchmarkSubject:
    """A benchmark, where its files are, which split is read, and whether there are pictures."""

    benchmark: Any
    root: Path
    split: str | None
    pictures: bool

    def load(self, parts: Sequence[str] = ()) -> list[EvalUnit]:
        """The units, read anew."""
        found: list[EvalUnit] = self.benchmark.load(self.root, self.split, parts)
        return found

    @cached_property
    def units(self) -> list[EvalUnit]:
        """The units that most checks look at."""
        return self.load()

    def queries(self) -> Iterator[tuple[EvalUnit, Query]]:
        """Every query with its unit."""
        return ((unit, query) for unit in self.units for query in unit.queries)


def first(problems: Iterator[str]) -> Iterator[str]:
    """The first of many problems, for one mistake of a loader is in every query."""
    for problem in problems:
        yield problem
        return
