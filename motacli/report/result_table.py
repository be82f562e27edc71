"""The tables of a comparison as HTML, and the tiles above them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from motacli.report.comparison import Column, Number, Row, Table
from motacli.report.formats import legend
from motacli.report.numbers import Style, p_text

DASH = "\N{EN DASH}"
STYLE = Style(best="<strong>{}</strong>", minus="\N{MINUS SIGN}", text=escape)


def headline_tiles(tables: Sequence[Table]) -> str:
    """One tile per table: what the best of the other runs has over the baseline in the benchmark's headline number."""
    tiles = "".join(_tile(table, table.best_of(table.rows[1:])) for table in tables if table.baseline)
    if not tiles:
        return ""
    return (
        '<p class="tiles-note" id="gains">Points over the baseline</p>'
        f'<ul class="tiles" aria-labelledby="gains">{tiles}</ul>'
    )


def table_section(table: Table, id: str) -> str:
    """The table, how to read it, and what makes its runs less comparable than they look."""
    remarks = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    notes = f'<ul class="notes">{remarks}</ul>' if remarks else ""
    rows = "".join(_row(table, row) for row in table.rows)
    return (
        f'<section aria-labelledby="{id}"><h2 id="{id}">{escape(table.title)}</h2>'
        f'<div class="scroll" role="region" aria-labelledby="{id}" tabindex="0"><table class="results">'
        f"<caption><span>{escape(legend(table))}</span></caption>"
        f"<thead>{_head(table.columns)}</thead><tbody>{rows}</tbody></table></div>{notes}</section>"
    )


def _tile(table: Table, row: Row) -> str:
    number = row.numbers[table.headline()]
    if number is None or number.difference is None or table.baseline is None:
        return ""
    return (
        f'<li class="tile"><span class="tile-gain {_direction(number)}">{STYLE.difference(number)}</span>'
        f'<span class="tile-name">{escape(table.title)}</span> '
        f'<span class="tile-metric">{escape(table.columns[table.headline()].title)}</span>'
        f'<span class="tile-runs">{escape(row.name)} over {escape(table.baseline.name)}</span></li>'
    )


def _head(columns: Sequence[Column]) -> str:
    metrics = "".join(f'<th scope="col">{escape(column.metric)}</th>' for column in columns)
    if not any(column.part for column in columns):
        return f'<tr><th scope="col">Query</th>{metrics}</tr>'
    groups = [(part, len(list(group))) for part, group in groupby(columns, key=lambda column: column.part)]
    parts = "".join(f'<th scope="colgroup" colspan="{width}">{escape(part)}</th>' for part, width in groups)
    return f'<tr><th scope="col" rowspan="2">Query</th>{parts}</tr><tr>{metrics}</tr>'


def _row(table: Table, row: Row) -> str:
    cells = "".join(_cell(number) for number in row.numbers)
    base = ' <small class="std">baseline</small>' if row is table.baseline else ""
    return f'<tr><th scope="row">{escape(row.name)}{base}</th>{cells}</tr>'


def _cell(number: Number | None) -> str:
    if number is None:
        return f'<td><span class="none" aria-hidden="true">{DASH}</span><span class="hidden">not run</span></td>'
    lines = [STYLE.value(number), _small(STYLE.interval(number))]
    if number.difference is not None:
        chip = f'<span class="gain {_direction(number)}">{STYLE.difference(number)}</span>'
        lines += [chip, _small(STYLE.difference_interval(number)), _small(f"p {p_text(number.p_holm)}")]
    return f"<td>{''.join(f'<div>{line}</div>' for line in lines if line)}</td>"


def _small(text: str) -> str:
    return f"<small>{text}</small>" if text else ""


def _direction(number: Number) -> str:
    """Colour is for what is significant: anything else may as well be chance."""
    if not number.significant or number.difference is None:
        return "flat"
    return "up" if number.difference.mean > 0 else "down"
