"""`mota demo`: the whole method on the embedded tiny world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motacli.commands import options
from motacli.commands.session import session

Folder = Annotated[Path, typer.Option("--out", help="Folder of the demo; an unfinished one is gone on with.")]
WorldSeed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the world; another one draws other queries.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    ctx: typer.Context, out: Folder = Path("demo"), seed: WorldSeed = 0, workers: options.TrainingWorkers = 0
) -> None:
    """Run every stage on a small drawn world, without network or GPU, and write a report with pictures."""
    from motacli.coworkers import as_many_as_pay
    from motacli.demo import Recipe, run_demo
    from motacli.demo.table import closing_lines, table_rows

    current, recipe = session(ctx), Recipe()
    workers = workers or as_many_as_pay()
    results = run_demo(current.host, out, seed, recipe, current.console, current.versions(), workers)
    if current.console.json:
        current.console.data(results)
        return
    current.console.table(table_rows(results, recipe))
    for line in closing_lines(results, out / "report.html"):
        current.console.log(line)
