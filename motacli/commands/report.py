"""`mota report`: runs of `mota eval` side by side."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motacli.commands import options
from motacli.commands.session import session
from motacli.console import Console
from motacli.errors import MotaError, UsageError
from motacli.plugins import PluginHost
from motacli.runs import new_file, refuse_existing

if TYPE_CHECKING:
    from motacli.report.comparison import Table
    from motacli.report.result_page import Shown


class Format(StrEnum):
    """What the tables are printed as."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"


Runs = Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders that `mota eval --out` wrote.")]
Baselines = Annotated[
    list[Path] | None,
    typer.Option("--baseline", help="Run to compare with; repeatable, one per benchmark. Default: the first."),
]
AsFormat = Annotated[Format | None, typer.Option("--format", help="What to print. Default: table.")]
Page = Annotated[Path | None, typer.Option("--html", help="Also write a page with pictures here.")]
Samples = Annotated[int, typer.Option("--samples", min=1, help="Queries and failures on the page, of each benchmark.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="Folder of the data set, for pictures. Default: the run's.")
]
OptionalOut = Annotated[Path | None, typer.Option("--out", help="File to write instead of printing.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    ctx: typer.Context,
    runs: Runs,
    baseline: Baselines = None,
    format: AsFormat = None,
    html: Page = None,
    samples: Samples = 4,
    seed: options.Seed = 0,
    data_root: DataRoot = None,
    out: OptionalOut = None,
) -> None:
    """Compare runs: tables as in papers, with 95% intervals, differences to a baseline and whether they are chance."""
    current = session(ctx)
    console = current.console
    if console.json and format is not None:
        raise UsageError("--format does not go with --json", "leave one of them out")
    for path in filter(None, (html, out)):
        refuse_existing(path)

    from motacli.report.comparison import compare
    from motacli.report.runs import read_run

    tables = compare([read_run(run) for run in runs], [read_run(run) for run in baseline or ()], seed=seed)
    for table in tables:
        for note in table.notes:
            console.warn(note)
    if html is not None:
        from motacli.report.result_page import write_result_page

        shown = [_shown(table, current.host, samples, seed, data_root, console) for table in tables]
        write_result_page(html, tables, shown)
        console.log(f"wrote {html}")
    if out is None:
        _print(tables, format or Format.table, console)
        return
    text = StringIO()
    _print(tables, format or Format.table, Console(json=console.json, quiet=True, out=text))
    with new_file(out) as work:
        work.write_text(text.getvalue(), encoding="utf-8")
    console.log(f"wrote {out}")


def _shown(table: Table, host: PluginHost, samples: int, seed: int, data_root: Path | None, console: Console) -> Shown:
    """The queries with pictures; without them the tables are still worth a page."""
    from motacli.report.examples import find_examples

    try:
        return find_examples(table, host, samples, seed, data_root)
    except MotaError as error:
        console.warn(f"no pictures of {table.title}: {error}")
        return str(error)


def _print(tables: Sequence[Table], format: Format, console: Console) -> None:
    from motacli.report.formats import as_csv, as_json, detail_rows, latex, legend, markdown, paper_rows

    if console.json:
        console.data(as_json(tables))
    elif format is Format.table:
        for number, table in enumerate(tables):
            if number:
                console.data("")
            console.table(paper_rows(table))
            console.data("")
            console.table(detail_rows(table))
        for line in dict.fromkeys(map(legend, tables)):
            console.log(line)
    else:
        writer = {Format.markdown: markdown, Format.csv: as_csv, Format.latex: latex}[format]
        console.data(writer(tables).rstrip("\n"))
