"""`mota reproduce`: a published result run again, its numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.commands import options
from motacli.commands.eval import KEPT, GalleryFeatures, QueryFeatures, Store, Submission
from motacli.commands.session import Session, session
from motacli.console import Console
from motacli.errors import UsageError

if TYPE_CHECKING:
    from motacli.eval_run import Task
    from motacli.published import Published
    from motacli.reproducing import Reproduction

Key = Annotated[
    str | None, typer.Argument(metavar="RESULT", help="Published result, such as lincir-large. Default: list them.")
]
BenchmarkName = Annotated[str | None, typer.Argument(metavar="BENCHMARK", help="Benchmark it was reported on.")]
Root = Annotated[Path | None, typer.Option("--data-root", help="Folder that holds the benchmark.")]
InversionWeights = Annotated[
    Path | None, typer.Option("--inversion-weights", help="A copy of its weights. Default: download them.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reproduce")(reproduce)


def reproduce(
    ctx: typer.Context,
    key: Key = None,
    benchmark: BenchmarkName = None,
    data_root: Root = None,
    gallery_features: GalleryFeatures = None,
    query_features: QueryFeatures = None,
    inversion_weights: InversionWeights = None,
    submission: Submission = None,
    store: Store = None,
    device: options.Device = "auto",
    batch_size: options.BatchSize = 64,
    workers: options.Workers = 0,
) -> None:
    """Run exactly what was published, and print what was expected, what came out, and whether that agrees.

    Exit code 1 where a number is off by more than the published result's tolerance."""
    from motacli.eval_run import submit
    from motacli.published import find
    from motacli.reproducing import require_scorable, task_of

    current = session(ctx)
    if key is None:
        current.console.table(_listing())
        return
    if benchmark is None or data_root is None:
        raise UsageError("reproduce what, from where?", "give RESULT, BENCHMARK and --data-root")
    if (gallery_features is None) != (query_features is None):
        raise UsageError("--gallery-features and --query-features go together", "give both")
    entry = find(key, benchmark)
    if submission is None:
        require_scorable(entry)
    dataset = current.host.component("benchmarks", benchmark).make()
    found = _reproduction(ctx.params, current, entry, task_of(entry, dataset, data_root, KEPT if submission else 0))
    if submission is not None:
        for path in submit(submission, dataset, found.outcome.evaluation):
            current.console.log(f"wrote {path}")
    _print(current.console, found)
    if found.verdict == "not reproduced":
        raise typer.Exit(1)


def _listing() -> list[dict[str, Any]]:
    from motacli.published import published

    return [
        {
            "result": entry.key,
            "benchmark": entry.benchmark,
            "split": entry.split,
            "method": entry.method,
            "variant": entry.variant,
            "source": entry.source,
            "confidence": entry.confidence,
            "scored by": entry.scored_by,
        }
        for entry in published()
    ]


def _reproduction(given: dict[str, Any], current: Session, entry: Published, task: Task) -> Reproduction:
    from motacli.reproducing import reproduce_features, reproduce_models

    if given["gallery_features"] is not None:
        return reproduce_features(entry, task, given["gallery_features"], given["query_features"])
    return reproduce_models(
        entry,
        task,
        current.host,
        weights=given["inversion_weights"],
        device=given["device"],
        store=given["store"],
        batch_size=given["batch_size"],
        workers=given["workers"],
        progress=current.console,
    )


def _print(console: Console, found: Reproduction) -> None:
    entry = found.entry
    if console.json:
        about = {
            "result": entry.key,
            "benchmark": entry.benchmark,
            "split": entry.split,
            "source": entry.source,
            "confidence": entry.confidence,
            "tolerance": float(entry.tolerance),
            "note": entry.note,
        }
        console.data({**about, "verdict": found.verdict, "numbers": list(found.comparisons)})
        return
    console.table(found.comparisons, title=f"{entry.key} ({entry.variant}, {entry.source})")
    if entry.note:
        console.log(f"note: {entry.note}")
    console.log(f"{found.verdict}: tolerance {entry.tolerance} points, source {entry.source} ({entry.confidence})")
