"""The headline table and the tiles above it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from motacli.report.content import BaselineRow, InversionRow, ReportTable, Score

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def gain_tiles(table: ReportTable) -> str:
    """One tile per benchmark: what the adapter adds on average over the inversion networks."""
    tiles = [
        f'<li class="tile"><span class="tile-gain {_direction(gain)}">{signed(gain)}</span>'
        f'<span class="tile-name">{escape(benchmark)}</span><span class="tile-metric">{escape(metric)}</span></li>'
        for (benchmark, metric), gain in zip(table.columns, table.mean_gains(), strict=True)
        if gain is not None
    ] if table.inversions else []
    if not tiles:
        return ""
    over = "averaged over the inversion networks" if len(table.inversions) > 1 else "over the inversion network alone"
    return (
        f'<ul class="tiles" aria-label="Gains">{"".join(tiles)}</ul>'
        f'<p class="tiles-note">Points gained by the adapter, {over}.</p>'
    )


def score_table(table: ReportTable, adapter: str) -> str:
    """The table: baselines first, then each inversion network, alone and adapted."""
    heads = "".join(
        f'<th scope="col">{escape(benchmark)} <small>{escape(metric)}</small></th>' for benchmark, metric in table.columns
    )
    scales = _scales(table)
    bodies = [_baselines(table.baselines, scales)] if table.baselines else []
    bodies += [_inversion(row, scales, adapter) for row in table.inversions]
    note = f" {escape(table.note)}" if table.note else ""
    return (
        '<div class="scroll" role="region" aria-label="Headline numbers" tabindex="0"><table class="scores">'
        f"<caption><span>Percent, higher is better; \N{PLUS-MINUS SIGN} is the standard deviation over seeds.{note}</span></caption>"
        f'<thead><tr><th scope="col">Query</th>{heads}</tr></thead>{"".join(bodies)}</table></div>'
    )


def signed(value: float) -> str:
    """A gain with its sign."""
    text = f"{abs(value):.1f}"
    return text if text == "0.0" else f"{'+' if value > 0 else MINUS}{text}"


def _baselines(rows: Sequence[BaselineRow], scales: Sequence[float]) -> str:
    lines = "".join(f"<tr>{_head(row.name)}{_cells(row.scores, scales, 'plain')}</tr>" for row in rows)
    return f"<tbody>{lines}</tbody>"


def _inversion(row: InversionRow, scales: Sequence[float], adapter: str) -> str:
    adapted = "".join(
        _cell(score, scale, "adapted", gain)
        for score, scale, gain in zip(row.adapted, scales, row.gains(), strict=True)
    )
    return (
        f"<tbody><tr>{_head(row.name)}{_cells(row.base, scales, 'base')}</tr>"
        f'<tr class="with"><th scope="row"><span class="hidden">{escape(row.name)} </span>+ {escape(adapter)}</th>{adapted}</tr></tbody>'
    )


def _head(name: str) -> str:
    return f'<th scope="row">{escape(name)}</th>'


def _cells(scores: Sequence[Score | None], scales: Sequence[float], look: str) -> str:
    return "".join(_cell(score, scale, look) for score, scale in zip(scores, scales, strict=True))


def _cell(score: Score | None, scale: float, look: str, gain: float | None = None) -> str:
    if score is None:
        return f'<td><span class="none">{DASH}</span></td>'
    spread = "" if score.std is None else f' <small class="std">\N{PLUS-MINUS SIGN} {score.std:.1f}</small>'
    chip = "" if gain is None else f'<span class="gain {_direction(gain)}">{signed(gain)}</span>'
    number = f'<span class="number"><b>{score.mean:.1f}</b>{spread}{chip}</span>'
    return f"<td>{number}{_bar(score, scale, look)}</td>"


def _bar(score: Score, scale: float, look: str) -> str:
    """A bar that fills its cell at the column's best score, with a whisker of one standard deviation."""
    width = _share(score.mean, scale)
    whisker = ""
    if score.std:
        low, high = _share(score.mean - score.std, scale), _share(score.mean + score.std, scale)
        whisker = f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="3" y2="3"/>'
    return (
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="track" width="100" height="6"/>'
        f'<rect class="{look}" width="{width:.1f}" height="6"/>{whisker}</svg>'
    )


def _share(value: float, scale: float) -> float:
    return max(0.0, min(100.0, 100 * value / scale)) if scale else 0.0


def _scales(table: ReportTable) -> list[float]:
    """The best score of each column, its spread included."""
    rows = [row.scores for row in table.baselines]
    rows += [scores for row in table.inversions for scores in (row.base, row.adapted)]
    return [
        max((score.mean + (score.std or 0.0) for score in column if score), default=0.0)
        for column in zip(*rows, strict=True)
    ] if rows else [0.0] * len(table.columns)


def _direction(gain: float) -> str:
    return "flat" if signed(gain) == "0.0" else "up" if gain > 0 else "down"
