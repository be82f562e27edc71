"""What goes on around every training: states to go on from, validation on a benchmark, early stopping, curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.commands.session import Session
from motacli.errors import UsageError

if TYPE_CHECKING:
    from motacli.contracts import Backbone
    from motacli.processes.world import World
    from motacli.validation import Wrap
    from motacli.watch import Validate as Scores
    from motacli.watch import Watch

_PANEL = "Validation"
Validate = Annotated[
    str | None,
    typer.Option(
        "--validate", metavar="BENCHMARK", help="Benchmark to look at while training.", rich_help_panel=_PANEL
    ),
]
ValidateEvery = Annotated[
    int, typer.Option("--validate-every", min=1, help="Steps between two looks.", rich_help_panel=_PANEL)
]
Root = Annotated[
    Path | None,
    typer.Option("--data-root", help="Folder that holds the benchmark of --validate.", rich_help_panel=_PANEL),
]
ValidateSplit = Annotated[str | None, typer.Option("--split", help="Split of that benchmark.", rich_help_panel=_PANEL)]
KeepBest = Annotated[
    str | None,
    typer.Option(
        "--keep-best",
        metavar="METRIC",
        help="Keep the weights that are best by it, not the last.",
        rich_help_panel=_PANEL,
    ),
]
Patience = Annotated[
    int,
    typer.Option(
        "--patience", min=0, help="Stop after so many looks without a new best; 0: never.", rich_help_panel=_PANEL
    ),
]


def refuse_mixtures(given: Mapping[str, Any], others: str = "") -> None:
    """`UsageError` for options that need each other; ``others`` names what else there is to keep the best by."""
    if (given["validate"] is None) != (given["data_root"] is None):
        raise UsageError("--validate and --data-root go together", "give both")
    if given["split"] is not None and given["validate"] is None:
        raise UsageError("--split is that of --validate", "give --validate, or leave it out")
    if (
        given["keep_best"] is not None
        and given["validate"] is None
        and not given["keep_best"].startswith(others or "\0")
    ):
        raise UsageError("--keep-best needs --validate", "there is nothing to choose by")
    if given["patience"] and given["keep_best"] is None:
        raise UsageError("--patience needs --keep-best", "say by what a look is better")


def watch_of(
    given: Mapping[str, Any], current: Session, backbone: Backbone, work: Path, wrap: Wrap, world: World
) -> Watch:
    """The watch that a command's options describe; ``wrap`` makes a query source of the network in training.

    Of several processes only the first looks at the benchmark.
    """
    from motacli.watch import Watch

    name, split = given["validate"], given["split"]
    return Watch(
        progress=current.console,
        work=work,
        save_every=given["save_every"],
        validate=_validate(given, current, backbone, work, wrap) if name is not None and world.first else None,
        validated_on=" ".join(part for part in (name, split) if part),
        validate_every=given["validate_every"],
        keep_best=given["keep_best"] or "",
        patience=given["patience"],
        world=world,
    )


def _validate(given: Mapping[str, Any], current: Session, backbone: Backbone, work: Path, wrap: Wrap) -> Scores:
    from motacli.validation import validator

    benchmark = current.host.component("benchmarks", given["validate"]).make()
    store = work / "validation"
    root, split = given["data_root"], given["split"]
    return validator(benchmark, root, backbone, wrap, split=split, store=store, progress=current.console)
