"""A published result run again: the options it was made with, and its numbers beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from motacli.benchmarks.protocol import DEFAULT_PROTOCOL
from motacli.console import NullProgress, Progress
from motacli.contracts import Benchmark
from motacli.errors import UsageError
from motacli.eval_run import Outcome, Pictures, QueryChoice, Task, evaluate_features, evaluate_models
from motacli.published import Comparison, Published, compare, configuration

if TYPE_CHECKING:
    from motacli.plugins import PluginHost

Verdict = Literal["reproduced", "close", "not reproduced", "incomplete"]
_WORST_FIRST: Mapping[str, Verdict] = {
    "off": "not reproduced",
    "not scored": "incomplete",
    "close": "close",
    "equal": "reproduced",
}


@dataclass(frozen=True)
class Reproduction:
    """A published result, ours, and what that says: the verdict is that of the number that fares worst."""

    entry: Published
    outcome: Outcome
    comparisons: Sequence[Comparison]

    @property
    def verdict(self) -> Verdict:
        """``close`` is within the entry's tolerance, ``incomplete`` lacks some of its numbers."""
        seen = {comparison.verdict for comparison in self.comparisons}
        return next(verdict for worst, verdict in _WORST_FIRST.items() if worst in seen)


def task_of(entry: Published, benchmark: Benchmark, root: Path, keep_top: int = 0) -> Task:
    """What a published result asks: its split and parts under its protocol."""
    protocol = benchmark.protocol(entry.protocol or DEFAULT_PROTOCOL)
    return Task(benchmark, root, protocol, entry.split, entry.parts, keep_top)


def reproduce_features(entry: Published, task: Task, gallery: Path, queries: Path) -> Reproduction:
    """Compare features that were made elsewhere with what was published."""
    return _compared(entry, evaluate_features(task, gallery, queries))


def reproduce_models(
    entry: Published,
    task: Task,
    host: PluginHost,
    *,
    weights: Path | None = None,
    device: str = "auto",
    store: Path | None = None,
    batch_size: int = 64,
    workers: int = 0,
    progress: Progress | None = None,
) -> Reproduction:
    """Run a published configuration; ``weights`` are a copy of the inversion network's, fetched otherwise.

    Raises `UsageError` where something that the run takes was never released or stated.
    """
    from motacli.models import BackboneChoice

    progress = progress or NullProgress()
    wanted = configuration(entry)
    if weights is None:
        progress.log(f"fetching {wanted.inversion_weights}")
    choice = BackboneChoice(wanted.model, wanted.pretrained, device, "fp32", wanted.preprocess)
    query = QueryChoice("composed", wanted.inversion, weights or wanted.inversion_weights)
    pictures = Pictures(store=store, batch_size=batch_size, workers=workers)
    return _compared(entry, evaluate_models(task, host, choice, query, pictures, progress))


def require_scorable(entry: Published) -> None:
    """Refuse a result whose numbers only a test server knows how to make."""
    if entry.scored_by == "server":
        raise UsageError(
            f"{entry.key} on {entry.benchmark} was scored by the benchmark's server, which keeps the targets",
            "give --submission DIR to write the files it takes",
        )


def _compared(entry: Published, outcome: Outcome) -> Reproduction:
    units = {name: row["metrics"] for name, row in outcome.evaluation.report["units"].items()}
    return Reproduction(entry, outcome, compare(entry, units))
