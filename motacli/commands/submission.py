"""`mota submission`: files for the servers that keep a benchmark's targets secret."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motacli.commands import options
from motacli.commands.session import Session, session
from motacli.runs import jsonable

if TYPE_CHECKING:
    from motacli.benchmarks.submission_check import SubmissionReport
    from motacli.benchmarks.submission_format import SubmissionFormat

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Submission files of any benchmark.")]
Root = Annotated[
    Path | None, typer.Option("--data-root", help="Folder of the benchmark, to check against its annotations too.")
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Files for the servers that keep a benchmark's targets secret.", no_args_is_help=True)
    group.callback()(_group)
    group.command("check")(check)
    app.add_typer(group, name="submission")


def _group() -> None:
    """Files for the servers that keep a benchmark's targets secret."""


def check(ctx: typer.Context, files: Files, data_root: Root = None, split: options.Split = None) -> None:
    """Look submission files over: format, queries and images; exit code 1 if a server would refuse one.

    The content tells which benchmark a file is for; `mota eval --submission` writes them.
    """
    from motacli.benchmarks.submission_format import submission_formats

    current = session(ctx)
    forms = submission_formats(current.host, current.console)
    reports = [_check(current, path, forms, data_root, split) for path in files]
    if current.console.json:
        current.console.data([{"valid": report.valid, **jsonable(report)} for report in reports])
    else:
        current.console.table([_row(report) for report in reports])
    for report in reports:
        for warning in report.warnings:
            current.console.warn(f"{report.path}: {warning}")
        for problem in report.problems:
            current.console.error(f"{report.path}: {problem}")
    if not all(report.valid for report in reports):
        raise typer.Exit(1)


def _check(
    current: Session, path: Path, forms: dict[str, SubmissionFormat], root: Path | None, split: str | None
) -> SubmissionReport:
    from motacli.benchmarks.submission_check import check
    from motacli.benchmarks.submission_read import matching_unit, read_submission

    submission = read_submission(path, forms)
    if root is None or submission.form is None:
        return check(submission, split=split)
    benchmark = current.host.component("benchmarks", submission.benchmark).make()
    return check(submission, matching_unit(benchmark, root, submission, split))


def _row(report: SubmissionReport) -> dict[str, object]:
    return {
        "file": report.path,
        "kind": report.kind or "unknown",
        "split": report.split,
        "queries": report.queries,
        "images": report.length,
        "problems": len(report.problems),
        "warnings": len(report.warnings),
    }
