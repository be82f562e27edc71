"""The headline table and the tiles above it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from motacli.report.charts import bar
from motacli.report.content import InversionRow, ReportTable, Score

MINUS, DASH, PLUS_MINUS = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{PLUS-MINUS SIGN}"
FUSION = "late fusion"


def gain_tiles(table: ReportTable) -> str:
    """One tile per benchmark: what the adapter adds on average over the inversion networks."""
    tiles = [
        f'<li class="tile"><span class="tile-gain {_direction(gain)}">{signed(gain)}</span>'
        f'<span class="tile-name">{escape(benchmark)}</span> <span class="tile-metric">{escape(metric)}</span></li>'
        for (benchmark, metric), gain in zip(table.columns, table.mean_gains(), strict=True)
        if gain is not None
    ]
    if not tiles:
        return ""
    over = "averaged over the inversion networks" if len(table.inversions) > 1 else "over the inversion network alone"
    return (
        f'<p class="tiles-note" id="gains">Points gained by the adapter, {over}</p>'
        f'<ul class="tiles" aria-labelledby="gains">{"".join(tiles)}</ul>'
    )


def score_section(table: ReportTable, adapter: str) -> str:
    """The table: baselines first, then each inversion network, alone and adapted, as it is and fused."""
    if not table.rows():
        return ""
    best = _best(table)
    heads = "".join(
        f'<th scope="col">{escape(benchmark)} <small>{escape(metric)}</small></th>'
        for benchmark, metric in table.columns
    )
    plain = "".join(_row("", row.name, row.scores, best, "plain") for row in table.baselines)
    bodies = [f"<tbody>{plain}</tbody>"] if plain else []
    bodies += [_inversion(row, best, adapter) for row in table.inversions]
    return (
        '<section aria-labelledby="numbers"><h2 id="numbers">The numbers</h2>'
        '<div class="scroll" role="region" aria-labelledby="numbers" tabindex="0"><table class="scores">'
        f"<caption><span>{_caption(table, adapter)}</span></caption>"
        f'<thead><tr><th scope="col">Query</th>{heads}</tr></thead>{"".join(bodies)}</table></div></section>'
    )


def signed(value: float) -> str:
    """A gain with its sign."""
    text = f"{abs(value):.1f}"
    return text if text == "0.0" else f"{'+' if value > 0 else MINUS}{text}"


def _caption(table: ReportTable, adapter: str) -> str:
    """How to read the table; nothing is explained that it does not show."""
    said = ["Percent, higher is better; the best of each column is bold."]
    if any(score is not None and score.std is not None for row in table.rows() for score in row):
        said.append(f"{PLUS_MINUS} is the standard deviation over seeds.")
    if any(gain is not None for row in table.inversions for gain in (*row.gains(), *row.fused_gains())):
        said.append(f"Signed numbers are the points gained over the same row without {escape(adapter)}.")
    return " ".join([*said, escape(table.note)]).strip()


def _inversion(row: InversionRow, best: Sequence[float], adapter: str) -> str:
    rows = _row("", row.name, row.base, best, "base")
    rows += _row(row.name, f"+ {FUSION}", row.base_fused, best, "base")
    rows += _row(row.name, f"+ {adapter}", row.adapted, best, "adapted", row.gains())
    rows += _row(row.name, f"+ {adapter} + {FUSION}", row.adapted_fused, best, "adapted", row.fused_gains())
    return f"<tbody>{rows}</tbody>"


def _row(
    of: str,
    name: str,
    scores: Sequence[Score | None],
    best: Sequence[float],
    look: str,
    gains: Sequence[float | None] | None = None,
) -> str:
    """One way to query; nothing without scores. ``of`` is the row it adds to, told to those who cannot see it."""
    if not scores:
        return ""
    cells = "".join(
        _cell(score, top, gain) for score, top, gain in zip(scores, best, gains or [None] * len(best), strict=True)
    )
    head = f'<span class="hidden">{escape(of)} </span>{escape(name)}' if of else escape(name)
    return f'<tr class="{look}{" more" if of else ""}"><th scope="row">{head}</th>{cells}</tr>'


def _cell(score: Score | None, best: float, gain: float | None) -> str:
    if score is None:
        return f'<td><span class="none" aria-hidden="true">{DASH}</span><span class="hidden">not run</span></td>'
    mean = f"{score.mean:.1f}"
    shown = f"<strong>{mean}</strong>" if mean == f"{best:.1f}" else f"<span>{mean}</span>"
    spread = "" if score.std is None else f' <small class="std">{PLUS_MINUS} {score.std:.1f}</small>'
    chip = "" if gain is None else f' <span class="gain {_direction(gain)}">{signed(gain)}</span>'
    return f'<td><span class="number">{shown}{spread}{chip}</span>{bar(score.mean, best)}</td>'


def _best(table: ReportTable) -> list[float]:
    """The best mean of each column."""
    return [max((score.mean for score in column if score), default=0.0) for column in zip(*table.rows(), strict=True)]


def _direction(gain: float) -> str:
    return "flat" if signed(gain) == "0.0" else "up" if gain > 0 else "down"
