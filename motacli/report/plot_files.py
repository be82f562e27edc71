"""The figures of a page as PNG and PDF files for papers, drawn by matplotlib.

Pages draw their own figures (`motacli.report.lines`): inline SVG needs no library, loads nothing under the page's
content policy, follows the reader's light or dark scheme, and its numbers can be read by a screen reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from motacli.extras import needed
from motacli.report.content import Routing
from motacli.report.lines import LinePlot
from motacli.runs import RunDir

SIZE = (4.8, 3.2)
"""Inches: a column of a two-column paper is about 3.3, which leaves letters legible."""
FORMATS = ("png", "pdf")
STYLES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1)), (0, (5, 1)))


def require_matplotlib() -> None:
    """`UsageError` where matplotlib is missing: said before any work is done."""
    needed("matplotlib", "plots", "writing plots")


def write_plots(folder: Path, plots: Iterable[LinePlot], routing: Routing | None = None) -> list[str]:
    """Write each figure in all formats to ``folder``, which must not exist yet; the files' names."""
    require_matplotlib()
    with RunDir.create(folder) as run:
        return [_save(figure, run, f"{name}.{form}") for name, figure in _figures(plots, routing) for form in FORMATS]


def _figures(plots: Iterable[LinePlot], routing: Routing | None) -> Iterator[tuple[str, Any]]:
    for plot in plots:
        yield plot.name, _lines(plot)
    if routing is not None:
        yield "routing", _heat(routing)


def _save(figure: Any, run: RunDir, name: str) -> str:
    # No date inside: the same numbers give the same file.
    metadata = {"CreationDate": None} if name.endswith(".pdf") else {"Software": None}
    figure.savefig(run.file(name), dpi=300, metadata=metadata)
    return name


def _new() -> tuple[Any, Any]:
    """A figure with axes, without pyplot: it needs no display and leaves no state."""
    figure = needed("matplotlib.figure", "plots", "writing plots").Figure(figsize=SIZE, layout="constrained")
    return figure, figure.subplots()


def _lines(plot: LinePlot) -> Any:
    figure, axes = _new()
    for number, (name, (xs, ys)) in enumerate(plot.drawn().items()):
        axes.plot(xs, ys, label=name, linewidth=1.2, linestyle=STYLES[number % len(STYLES)])
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y, yscale="log" if plot.log else "linear")
    axes.legend(fontsize="small", frameon=False)
    return figure


def _heat(routing: Routing) -> Any:
    figure, axes = _new()
    image = axes.imshow(routing.shares, aspect="auto", cmap="Purples", vmin=0)
    axes.set_xticks(range(routing.experts), [str(k + 1) for k in range(routing.experts)])
    axes.set_yticks(range(len(routing.types)), list(routing.types))
    axes.set(title="Mean gate by modification type", xlabel="Expert")
    figure.colorbar(image, ax=axes)
    return figure
