"""`mota data`: what is on disk, and what is made to go beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motacli.commands import options
from motacli.commands.session import session
from motacli.console import Console

if TYPE_CHECKING:
    from motacli.benchmarks.checking import BenchmarkCheck

SHOWN = 10
"""Broken pictures and queries listed of each unit; ``--json`` lists all."""

BenchmarkName = Annotated[str, typer.Argument(metavar="BENCHMARK", help="Benchmark, see `mota ls benchmarks`.")]
Concepts = Annotated[Path, typer.Argument(help="Names, one per line, or a CSV with a column DisplayName.")]
PerConcept = Annotated[int, typer.Option("--per-concept", min=1, help="Phrases of each concept.")]
NoImages = Annotated[bool, typer.Option("--no-images", help="Look at the annotation files only.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    data = typer.Typer(help="Look at data sets on disk, and make what goes beside them.", no_args_is_help=True)
    data.command("check")(check)
    data.command("phrases")(phrases)
    app.add_typer(data, name="data")


def check(
    ctx: typer.Context,
    benchmark: BenchmarkName,
    data_root: options.DataRoot,
    split: options.Split = None,
    part: options.Parts = None,
    no_images: NoImages = False,
    workers: options.Workers = 2,
) -> None:
    """Find missing and broken pictures and annotations, the queries they affect, and where to get what is missing.

    Exit code 1 where anything is wrong."""
    from motacli.benchmarks.checking import check_benchmark

    current = session(ctx)
    found = check_benchmark(
        current.host.component("benchmarks", benchmark).make(),
        data_root,
        split,
        part or (),
        pictures=not no_images,
        workers=workers,
        progress=current.console,
    )
    if current.console.json:
        current.console.data(found)
    else:
        _print(found, current.console)
    if not found.ok:
        raise typer.Exit(1)


def phrases(
    ctx: typer.Context,
    concepts: Concepts,
    out: options.Out,
    per_concept: PerConcept = 20,
    llm_url: options.LLMUrl = None,
    llm_model: options.LLMModel = None,
    llm: options.LLMName = None,
    llm_option: options.LLMOption = None,
    concurrency: options.Concurrency = None,
    attempts: options.Attempts = None,
) -> None:
    """Let a language model write phrases around concepts, for `mota train-inversion searle --option phrases=FILE`."""
    from motacli.assignments import read_assignments
    from motacli.inversions.concepts import read_concepts
    from motacli.inversions.written_phrases import write_phrases
    from motacli.llms.asking import AskOptions
    from motacli.llms.loading import load_client

    current = session(ctx)
    names = read_concepts(concepts)
    values = {"url": llm_url, "model": llm_model}
    given = {key: value for key, value in values.items() if value is not None}
    client = load_client(current.host, llm or "openai", {**given, **read_assignments(llm_option or ())})
    limits = {"concurrency": concurrency, "attempts": attempts}
    asking = AskOptions(**{key: value for key, value in limits.items() if value is not None})
    found = write_phrases(client, names, per_concept, out, asking, current.console)
    written = sum(map(len, found.values()))
    current.console.table([{"concepts": len(names), "with_phrases": len(found), "phrases": written}])


def _print(found: BenchmarkCheck, console: Console) -> None:
    rows = [
        {
            "unit": unit.name,
            "queries": unit.queries,
            "gallery": unit.gallery,
            "pictures": unit.pictures,
            "broken": len(unit.broken),
            "affected queries": len(unit.affected_queries),
        }
        for unit in found.units
    ]
    if rows:
        console.table(rows, title=f"{found.benchmark} {found.split}")
    for unit in found.units:
        for picture in unit.broken[:SHOWN]:
            console.data(f"{unit.name}: {picture.kind}: {picture.path}")
        for query in unit.affected_queries[:SHOWN]:
            console.data(f"{unit.name}: query {query.id}: its {query.role} {query.picture} is broken")
        hidden = max(len(unit.broken), len(unit.affected_queries)) - SHOWN
        if hidden > 0:
            console.data(f"{unit.name}: up to {hidden} more of each; --json lists them all")
    for problem in found.problems:
        console.error(problem.what, problem.hint)
    if found.ok:
        console.log("everything is there")
