"""`mota data`: what is on disk."""

from __future__ import annotations

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
NoImages = Annotated[bool, typer.Option("--no-images", help="Look at the annotation files only.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    data = typer.Typer(help="Look at data sets on disk.", no_args_is_help=True)
    data.command("check")(check)
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
        current.host.component("benchmarks", benchmark).load()(),
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
