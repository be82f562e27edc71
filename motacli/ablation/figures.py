"""Figures for papers: bars of named variants, and lines with error bands over the values of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from motacli.ablation.grid import Grid, Sweep
from motacli.ablation.rows import Row
from motacli.ablation.variant import BASE
from motacli.ablation.vary import key_label
from motacli.demo.recipe import INVERSION_TITLES, TITLES
from motacli.extras import needed
from motacli.report.plot_files import FORMATS, SIZE, STYLES


def draw(rows: Sequence[Row], grid: Grid) -> Iterator[tuple[str, bytes]]:
    """File names and contents, per benchmark; `UsageError` where matplotlib is missing."""
    swept = grid.swept()
    named = [variant.name for variant in grid.variants if variant.name not in swept]
    for benchmark in dict.fromkeys(row.benchmark for row in rows):
        own = [row for row in rows if row.benchmark == benchmark]
        if named and named != [grid.reference]:
            kept = {BASE, grid.reference, *named}
            yield from _saved(benchmark, _bars([row for row in own if row.variant in kept]))
        for number, sweep in enumerate(grid.sweeps):
            again = sum(other.key == sweep.key for other in grid.sweeps[:number])
            name = f"{benchmark}-{key_label(sweep.key)}" + (f"-{again + 1}" if again else "")
            yield from _saved(name, _lines(own, sweep))


def _saved(name: str, figure: Any) -> Iterator[tuple[str, bytes]]:
    for form in FORMATS:
        # No date inside: the same numbers give the same file.
        metadata = {"CreationDate": None} if form == "pdf" else {"Software": None}
        content = BytesIO()
        figure.savefig(content, format=form, dpi=300, metadata=metadata)
        yield f"{name}.{form}", content.getvalue()


def _new(row: Row) -> tuple[Any, Any]:
    """A figure with axes for a row's benchmark, without pyplot: it needs no display and leaves no state."""
    figure = needed("matplotlib.figure", "plots", "writing plots").Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set(title=TITLES.get(row.benchmark, row.benchmark), ylabel=f"{row.metric} (%)")
    return figure, axes


def _bars(rows: Sequence[Row]) -> Any:
    """Variants side by side, in each of them one bar per inversion network."""
    figure, axes = _new(rows[0])
    inversions, variants = (
        list(dict.fromkeys(getattr(row, name) for row in rows)) for name in ("inversion", "variant")
    )
    width = 0.8 / len(inversions)
    for number, inversion in enumerate(inversions):
        own = [row for row in rows if row.inversion == inversion]
        places = [place - 0.4 + width * (number + 0.5) for place in range(len(own))]
        heights, spreads = [row.mean for row in own], [row.std for row in own]
        axes.bar(places, heights, width, yerr=spreads, capsize=2, error_kw={"linewidth": 0.8}, label=_title(inversion))
    axes.set_xticks(range(len(variants)), variants, rotation=25, ha="right", fontsize="small")
    if len(inversions) > 1:
        axes.legend(fontsize="small", frameon=False)
    return figure


def _lines(rows: Sequence[Row], sweep: Sweep) -> Any:
    """A colour per inversion network, a dash pattern per line of the sweep; dotted is the network alone."""
    figure, axes = _new(rows[0])
    found = {(row.inversion, row.variant): row for row in rows}
    for colour, inversion in enumerate(dict.fromkeys(row.inversion for row in rows)):
        for style, (line, points) in enumerate(sweep.lines.items()):
            own = [found[inversion, name] for _, name in points]
            xs, ys = [x for x, _ in points], [row.mean for row in own]
            look = {"color": f"C{colour}", "linewidth": 1.2, "linestyle": STYLES[style % len(STYLES)]}
            axes.plot(xs, ys, marker="o", markersize=3, label=f"{_title(inversion)} {line}".strip(), **look)
            low, high = ([row.mean + sign * row.std for row in own] for sign in (-1, 1))
            axes.fill_between(xs, low, high, color=f"C{colour}", alpha=0.15, linewidth=0)
        axes.axhline(found[inversion, BASE].mean, color=f"C{colour}", linewidth=0.8, linestyle=":")
    axes.set_xlabel(key_label(sweep.key))
    axes.legend(fontsize="small", frameon=False)
    return figure


def _title(inversion: str) -> str:
    return INVERSION_TITLES.get(inversion, inversion)
