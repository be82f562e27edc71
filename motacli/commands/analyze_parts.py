"""What the analyses of adapters have in common: their options, the models, and where the results go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.commands import options
from motacli.commands.session import Session, session
from motacli.runs import refuse_existing

if TYPE_CHECKING:
    from motacli.analysis.feature_sets import Parts
    from motacli.report.content import Routing
    from motacli.report.lines import LinePlot

Adapter = Annotated[Path, typer.Option("--adapter", help="Adapter: a trained run's folder.")]
InversionWeights = Annotated[Path | None, typer.Option("--inversion-weights", help="Weights of the inversion.")]
Triplets = Annotated[
    Path | None, typer.Option("--triplets", help="Triplets file; one triplet of each picture is drawn.")
]
Sample = Annotated[int, typer.Option("--sample", min=2, help="Pictures or queries drawn.")]
Out = Annotated[Path | None, typer.Option("--out", help="A page (.html), or a folder for page and numbers.")]
Plots = Annotated[
    Path | None, typer.Option("--plots", metavar="DIR", help="Write the figures to DIR, PNG and PDF (mota[plots]).")
]


def refuse_early(out: Path | None, plots: Path | None) -> None:
    """Say what is wrong with where the results go before any work is done."""
    for path in (out, plots):
        if path is not None:
            refuse_existing(path)
    if plots is not None:
        from motacli.report.plot_files import require_matplotlib

        require_matplotlib()


def load_parts(ctx: typer.Context) -> Parts:
    """Backbone, inversion network and adapter that the options name."""
    from motacli.adapters.files import load_adapter
    from motacli.analysis.adapter_run import trained_template
    from motacli.analysis.feature_sets import Parts
    from motacli.models import BackboneChoice, load_backbone, load_inversion

    given, host = ctx.params, session(ctx).host
    folder = given["adapter"]
    template = trained_template(folder)  # a missing adapter is told before a large backbone is loaded
    words = (options.Precision(given["precision"]).value, options.Preprocess(given["preprocess"]).value)
    choice = BackboneChoice(given["model"], given["pretrained"], given["device"], *words)
    backbone = load_backbone(host, choice)
    inversion = load_inversion(host, given["inversion"], backbone, given["inversion_weights"])
    return Parts(backbone, inversion, load_adapter(host, folder, backbone, inversion), template)


def about_parts(parts: Parts, adapter: Path) -> dict[str, str]:
    """What was analysed, in words."""
    return {
        "backbone": f"{parts.backbone.name} ({parts.backbone.fingerprint()})",
        "inversion": parts.inversion.name,
        "adapter": f"{parts.adapter.name} ({adapter})",
    }


def digests_of(parts: Parts, adapter: Path, files: Mapping[str, Path | None]) -> dict[str, str]:
    """Digests of weights and files, for provenance."""
    from motacli.adapters.files import WEIGHTS, state_digest
    from motacli.runs import file_digest

    weights = {
        "backbone": parts.backbone.fingerprint(),
        "inversion": state_digest(parts.inversion) or "",
        "adapter": file_digest(adapter / WEIGHTS),
    }
    return weights | {name: file_digest(path) for name, path in files.items() if path is not None}


def write_out(
    ctx: typer.Context,
    name: str,
    found: object,
    render: Callable[[Mapping[str, object]], str],
    digests: Mapping[str, str],
    plots: Sequence[LinePlot],
    routing: Routing | None = None,
) -> None:
    """Write the page, or the folder, and the figures, where they were asked for."""
    from motacli.analysis.report_parts import write_analysis
    from motacli.runs import provenance

    current, given = session(ctx), ctx.params
    if given["out"] is not None:
        made = provenance(plugins=current.versions(), seed=given["seed"], digests=digests)
        write_analysis(given["out"], render(made), name, found, made)
        current.console.log(f"wrote {given['out']}")
    if given["plots"] is not None:
        from motacli.report.plot_files import write_plots

        files = write_plots(given["plots"], plots, routing)
        current.console.log(f"wrote {len(files)} files to {given['plots']}")


def print_found(current: Session, found: object, tables: Sequence[tuple[str, list[dict[str, Any]]]]) -> None:
    """The numbers as tables, or as JSON."""
    if current.console.json:
        current.console.data(found)
        return
    for number, (title, rows) in enumerate(tables):
        if number:
            current.console.data("")
        current.console.table(rows, title=title)
