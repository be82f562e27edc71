"""Tables as text: rows for a terminal, Markdown, CSV, LaTeX, and plain values for JSON.

The paper's form has a line per run and, below it, the differences to the baseline. Details give every number a line of
its own, with its intervals and p-values.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from itertools import groupby
from typing import Any

from motacli.intervals import LEVEL
from motacli.report.comparison import ALPHA, Column, Number, Row, Table
from motacli.report.numbers import Style, p_text, percent_text

DIFFERENCE = "difference"
TERMINAL = Style()
Cell = Callable[[Number | None], str]


def legend(table: Table) -> str:
    """How to read a table; nothing is explained that it does not show."""
    intervals = f"{100 * LEVEL:g}% bootstrap intervals over queries"
    if table.baseline is None:
        return f"Percent, with {intervals}."
    return (
        f"Percent, the best of each column marked. Differences to {table.baseline.name} are in points, with a star "
        f"where p < {ALPHA:g} in a two-sided paired randomisation test, after Holm's correction over the table "
        f"({table.resamples} resamples, seed {table.seed}). Intervals are {intervals}."
    )


# ---------------------------------------------------------------------------------------------- rows


def paper_rows(table: Table, style: Style = TERMINAL) -> list[dict[str, str]]:
    """The paper's form; the first column is headed by the table's title."""
    head = style.text(table.title)
    rows = []
    for row in table.rows:
        rows.append({head: style.text(row.name), **_cells(table, row, style.value)})
        if _compared(row):
            rows.append({head: DIFFERENCE, **_cells(table, row, style.difference)})
    return rows


def detail_rows(table: Table, style: Style = TERMINAL) -> list[dict[str, str]]:
    """Every number on a line; what would be empty in all of them is left out."""
    head = style.text(table.title)
    rows = [
        {
            head: style.text(row.name),
            "metric": style.text(column.title),
            "n": str(number.n),
            "value": percent_text(number.value),
            "interval": style.interval(number),
            DIFFERENCE: style.difference(number),
            "its interval": style.difference_interval(number),
            "p": p_text(number.p),
            "p (Holm)": p_text(number.p_holm),
        }
        for row, column, number in _numbers(table)
    ]
    shown = [name for name in rows[0] if any(row[name] for row in rows)]
    return [{name: row[name] for name in shown} for row in rows]


def _numbers(table: Table) -> list[tuple[Row, Column, Number]]:
    paired = [(row, zip(table.columns, row.numbers, strict=True)) for row in table.rows]
    return [(row, column, number) for row, numbers in paired for column, number in numbers if number]


def _cells(table: Table, row: Row, cell: Cell) -> dict[str, str]:
    return {column.title: cell(number) for column, number in zip(table.columns, row.numbers, strict=True)}


def _compared(row: Row) -> bool:
    return any(number and number.difference for number in row.numbers)


# ---------------------------------------------------------------------------------------------- Markdown


def markdown(tables: Sequence[Table]) -> str:
    """Per table: the paper's form, how to read it, and the details."""
    return "\n".join(_markdown(table) for table in tables)


def markdown_text(text: str) -> str:
    """A text without the signs that mean something in Markdown."""
    escaped = "".join(f"\\{sign}" if sign in "\\`*_[]<>|#~" else sign for sign in text)
    return " ".join(escaped.split())


def _markdown(table: Table) -> str:
    style = Style(star="\\*", minus="\N{MINUS SIGN}", text=markdown_text)
    remarks = "".join(f"{markdown_text(remark)}\n\n" for remark in (legend(table), *table.notes))
    return f"{_pipes(paper_rows(table, style))}\n{remarks}{_pipes(detail_rows(table, style))}"


def _pipes(rows: Sequence[Mapping[str, str]]) -> str:
    rules = ["---", *["---:"] * (len(rows[0]) - 1)]
    lines = [list(rows[0]), rules, *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# ---------------------------------------------------------------------------------------------- LaTeX


def latex(tables: Sequence[Table]) -> str:
    r"""The paper's form for ``\usepackage{booktabs}``; below each line stand its intervals, smaller."""
    return "\n".join(_latex(table) for table in tables)


def latex_text(text: str) -> str:
    """A text without the signs that mean something in LaTeX."""
    words = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    words |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    return "".join(words.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in " ".join(text.split()))


def _latex(table: Table) -> str:
    style = Style(best=r"\textbf{{{}}}", star="$^{*}$", minus="$-$", text=latex_text)
    lines = [line for row in table.rows for line in _latex_rows(table, row, style)]
    remarks = "".join(f"% {' '.join(note.split())}\n" for note in table.notes)
    return (
        f"{remarks}\\begin{{table}}\n\\centering\n\\caption{{{latex_text(table.title)}. {latex_text(legend(table))}}}\n"
        f"\\begin{{tabular}}{{l{'r' * len(table.columns)}}}\n\\toprule\n{_latex_head(table)}\\midrule\n"
        f"{''.join(lines)}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _latex_head(table: Table) -> str:
    """The metrics, below the parts of the benchmark where it has several."""
    metrics = _latex_line("Query", [latex_text(column.metric) for column in table.columns])
    if not any(column.part for column in table.columns):
        return metrics
    heads, rules, first = [], [], 2
    for part, columns in groupby(table.columns, key=lambda column: column.part):
        width = len(list(columns))
        heads.append(f"\\multicolumn{{{width}}}{{c}}{{{latex_text(part)}}}")
        rules.append(f"\\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    return _latex_line("", heads) + " ".join(rules) + "\n" + metrics


def _latex_rows(table: Table, row: Row, style: Style) -> list[str]:
    shown: list[tuple[str, Cell]] = [(style.text(row.name), style.value), ("", style.interval)]
    if _compared(row):
        shown += [(r"\quad difference", style.difference), ("", style.difference_interval)]
    lines = []
    for name, cell in shown:
        cells = list(_cells(table, row, cell).values())
        if any(cells):
            lines.append(_latex_line(name, cells if name else [rf"{{\scriptsize {text}}}" for text in cells]))
    return lines


def _latex_line(name: str, cells: Sequence[str]) -> str:
    return f"{' & '.join([name, *cells])} \\\\\n"


# ---------------------------------------------------------------------------------------------- values


def records(table: Table) -> list[dict[str, Any]]:
    """Every number with all that is known of it, unrounded; percent and points."""
    return [
        {
            "benchmark": table.benchmark,
            "split": table.split,
            "run": str(row.run.path),
            "query": row.run.query,
            "unit": column.unit,
            "metric": column.metric,
            "n": number.n,
            "value": number.value,
            "low": number.interval and number.interval[0],
            "high": number.interval and number.interval[1],
            "best": number.best,
            "difference": number.difference and number.difference.mean,
            "difference_low": number.difference and number.difference.low,
            "difference_high": number.difference and number.difference.high,
            "p": number.p,
            "p_holm": number.p_holm,
        }
        for row, column, number in _numbers(table)
    ]


def as_csv(tables: Sequence[Table]) -> str:
    """The `records` of all tables under one header; what is unknown is empty."""
    rows = [record for table in tables for record in records(table)]
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(tables: Sequence[Table]) -> dict[str, Any]:
    """Everything: per table its runs, baseline and remarks, and the `records` of its numbers."""
    return {
        "tables": [
            {
                "benchmark": table.benchmark,
                "split": table.split,
                "baseline": table.baseline and str(table.baseline.run.path),
                "runs": [str(row.run.path) for row in table.rows],
                "level": LEVEL,
                "resamples": table.resamples,
                "seed": table.seed,
                "notes": table.notes,
                "numbers": records(table),
            }
            for table in tables
        ]
    }
