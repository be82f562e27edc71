"""Rows as tables: one per inversion network, variants down and benchmarks across."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from io import StringIO

from motacli.ablation.grid import Grid
from motacli.ablation.rows import Row
from motacli.demo.recipe import INVERSION_TITLES, TITLES
from motacli.report.formats import latex_text, markdown_text


@dataclass(frozen=True, slots=True)
class Signs:
    """How a format writes a spread, a minus, and text."""

    spread: str = "±"
    minus: str = "-"
    text: Callable[[str], str] = str


TERMINAL = Signs()
MARKDOWN = Signs(minus="\N{MINUS SIGN}", text=markdown_text)
LATEX = Signs(spread=r"$\pm$", minus="$-$", text=latex_text)


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of one inversion network; the head's first cell is its name."""

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]

    def records(self) -> list[dict[str, str]]:
        """The rows as a console prints them."""
        return [dict(zip(self.head, line, strict=True)) for line in self.body]


def make_tables(rows: Sequence[Row], grid: Grid, signs: Signs = TERMINAL) -> list[Table]:
    """A table per inversion network."""
    return [
        _table([row for row in rows if row.inversion == inversion], grid, signs)
        for inversion in dict.fromkeys(row.inversion for row in rows)
    ]


def legend(grid: Grid, rows: Sequence[Row]) -> str:
    """How to read the tables."""
    seeds = rows[0].seeds
    spread = f"mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}"
    also = "".join(f" {name} is {', '.join(others)}." for name, others in grid.also.items())
    return f"{grid.title}: percent, {spread}; in brackets the difference to {grid.reference}.{also}"


def _table(rows: Sequence[Row], grid: Grid, signs: Signs) -> Table:
    columns = dict.fromkeys((row.benchmark, row.metric) for row in rows)
    inversion = rows[0].inversion
    title = signs.text(INVERSION_TITLES.get(inversion, inversion))
    head = [title, *(signs.text(f"{TITLES.get(name, name)} {metric}") for name, metric in columns), "trainable"]
    body = []
    for variant in dict.fromkeys(row.variant for row in rows):
        own = [row for row in rows if row.variant == variant]
        cells = [_cell(row, row.variant == grid.reference, signs) for row in own]
        body.append((signs.text(variant), *cells, f"{own[0].trainable:,}"))
    return Table(tuple(head), tuple(body))


def _cell(row: Row, is_reference: bool, signs: Signs) -> str:
    """``71.2 ± 0.6 (-1.3)``."""
    text = f"{row.mean:.1f}"
    if len(row.seeds) > 1 and row.trainable:
        text += f" {signs.spread} {row.std:.1f}"
    return text if is_reference else f"{text} ({_signed(row.delta, signs)})"


def _signed(value: float, signs: Signs) -> str:
    """``+1.3``; what rounds to zero has no sign."""
    number = f"{abs(value):.1f}"
    return number if number == "0.0" else f"{'+' if value > 0 else signs.minus}{number}"


# ---------------------------------------------------------------------------------------------- files


def markdown(rows: Sequence[Row], grid: Grid) -> str:
    """All tables, and how to read them."""
    parts = [markdown_text(legend(grid, rows)) + "\n"]
    for table in make_tables(rows, grid, MARKDOWN):
        lines = [table.head, ("---", *("---:" for _ in table.head[1:])), *table.body]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(parts)


def latex(rows: Sequence[Row], grid: Grid) -> str:
    r"""All tables, for ``\usepackage{booktabs}``."""
    caption = latex_text(legend(grid, rows)).replace("±", LATEX.spread)
    return "\n".join(_latex(table, caption) for table in make_tables(rows, grid, LATEX))


def _latex(table: Table, caption: str) -> str:
    head, *body = (f"{' & '.join(line)} \\\\\n" for line in (table.head, *table.body))
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{table.head[0]}. {caption}}}\n"
        f"\\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}\n\\toprule\n{head}\\midrule\n"
        f"{''.join(body)}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def as_csv(rows: Sequence[Row]) -> str:
    """Every row unrounded; lists are separated by spaces."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Row))
    for row in rows:
        values = asdict(row).values()
        writer.writerow(" ".join(map(str, value)) if isinstance(value, tuple) else value for value in values)
    return text.getvalue()
