"""What a report says, before it looks like anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from motacli.contracts import ImageRef

SHOWN = 8
"""Pictures shown of each ranking."""


@dataclass(frozen=True, slots=True)
class Score:
    """A number in percent: the mean over seeds and, where there are several, their standard deviation."""

    mean: float
    std: float | None = None


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """A way to query without an inversion network; one score per column, None where it was not run."""

    name: str
    scores: Sequence[Score | None]


@dataclass(frozen=True, slots=True)
class InversionRow:
    """An inversion network alone and with the adapter; one score per column each.

    ``base_fused`` and ``adapted_fused`` are the same two with late fusion on top. An empty row is left out.
    """

    name: str
    base: Sequence[Score | None]
    adapted: Sequence[Score | None]
    base_fused: Sequence[Score | None] = ()
    adapted_fused: Sequence[Score | None] = ()

    def gains(self) -> list[float | None]:
        """Points won by the adapter in each column, None where one of the two is unknown."""
        return _gains(self.base, self.adapted)

    def fused_gains(self) -> list[float | None]:
        """Points won by the adapter in each column where both are fused."""
        return _gains(self.base_fused, self.adapted_fused)


@dataclass(frozen=True, slots=True)
class ReportTable:
    """The headline numbers. ``columns`` are pairs of benchmark and metric, such as ``("FashionIQ", "R@10")``."""

    columns: Sequence[tuple[str, str]]
    baselines: Sequence[BaselineRow] = ()
    inversions: Sequence[InversionRow] = ()
    note: str = ""

    def mean_gains(self) -> list[float | None]:
        """Points won by the adapter in each column, averaged over the inversion networks."""
        columns = zip(*(row.gains() for row in self.inversions), strict=True)
        known = [[gain for gain in column if gain is not None] for column in columns]
        return [fmean(gains) if gains else None for gains in known] or [None] * len(self.columns)

    def rows(self) -> list[Sequence[Score | None]]:
        """The scores of every row, from top to bottom."""
        rows = [row.scores for row in self.baselines]
        for row in self.inversions:
            rows += filter(None, (row.base, row.base_fused, row.adapted, row.adapted_fused))
        return rows


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry of a ranking."""

    image: ImageRef
    score: float
    is_target: bool


@dataclass(frozen=True, slots=True)
class SampleQuery:
    """A query with its ranking by the inversion network alone and with the adapter.

    Rankings may be longer than the `SHOWN` pictures: the rest tells the target's rank.
    """

    benchmark: str
    caption: str
    kind: str
    reference: ImageRef
    before: Sequence[Hit]
    after: Sequence[Hit]

    def rank_before(self) -> int | None:
        """Where the first target stands without the adapter, 1 at the top; None where the ranking lacks it."""
        return first_target(self.before)

    def rank_after(self) -> int | None:
        """Where the first target stands with the adapter."""
        return first_target(self.after)


@dataclass(frozen=True, slots=True)
class Routing:
    """How experts are mixed for each type of modification: ``shares`` ``(T, K)``, rows summing to one."""

    types: Sequence[str]
    experts: int
    shares: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page. ``facts`` are titled tables of names and values: versions, seeds, fingerprints."""

    title: str
    summary: str
    table: ReportTable
    samples: Sequence[SampleQuery] = ()
    routing: Routing | None = None
    commands: Sequence[str] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    inversion: str = "Inversion"
    adapter: str = "MoTa-Adapter"


def _gains(before: Sequence[Score | None], after: Sequence[Score | None]) -> list[float | None]:
    if not before or not after:
        return [None] * len(before or after)
    return [new.mean - old.mean if old and new else None for old, new in zip(before, after, strict=True)]


def first_target(hits: Sequence[Hit]) -> int | None:
    """The 1-based rank of the first target."""
    return next((rank for rank, hit in enumerate(hits, start=1) if hit.is_target), None)
