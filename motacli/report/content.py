"""What a report says, before it looks like anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
    """An inversion network alone and with the adapter; one score per column each."""

    name: str
    base: Sequence[Score | None]
    adapted: Sequence[Score | None]

    def gains(self) -> list[float | None]:
        """Points won by the adapter in each column."""
        return [after.mean - before.mean if before and after else None for before, after in self._pairs()]

    def _pairs(self) -> list[tuple[Score | None, Score | None]]:
        return list(zip(self.base, self.adapted, strict=True))


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
        return [sum(gains) / len(gains) if gains else None for gains in known]


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

    def target(self) -> ImageRef | None:
        """The picture asked for, if a ranking holds it."""
        return next((hit.image for hit in (*self.after, *self.before) if hit.is_target), None)


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


def first_target(hits: Sequence[Hit]) -> int | None:
    """The 1-based rank of the first target."""
    return next((rank for rank, hit in enumerate(hits, start=1) if hit.is_target), None)
