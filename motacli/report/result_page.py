"""The page of a comparison: its tables, and where the data set is at hand, queries with what each run made of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from motacli.report.comparison import Table
from motacli.report.examples import Examples
from motacli.report.page import making_section, render_page, write_page
from motacli.report.result_cards import hardest_section, sampled_section
from motacli.report.result_table import headline_tiles, table_section
from motacli.report.runs import Run

Shown = Examples | str
"""The queries shown of a table, or why there are none."""


def write_result_page(path: Path, tables: Sequence[Table], shown: Sequence[Shown]) -> Path:
    """Write the page to ``path``, which must not exist yet; ``shown`` follows ``tables``."""
    return write_page(path, render_result_page(tables, shown))


def render_result_page(tables: Sequence[Table], shown: Sequence[Shown]) -> str:
    """The page as HTML. A picture that cannot be read is replaced by a box with its id."""
    names = " and ".join(filter(None, [", ".join(t.name for t in tables[:-1]), tables[-1].name]))
    runs = list({row.run.path: row.run for table in tables for row in table.rows}.values())
    sections = [table_section(table, f"table-{number}") for number, table in enumerate(tables, start=1)]
    for number, (table, queries) in enumerate(zip(tables, shown, strict=True), start=1):
        sections += _queries(table, queries, f"queries-{number}")
    return render_page(
        f"Results on {names}",
        _summary(tables, runs),
        opening=[headline_tiles(tables)],
        sections=[*sections, making_section(_commands(runs), _facts(runs))],
    )


def _summary(tables: Sequence[Table], runs: Sequence[Run]) -> str:
    counted = "One run" if len(runs) == 1 else f"{len(runs)} runs"
    baselines = list(dict.fromkeys(table.baseline.name for table in tables if table.baseline))
    compared = f", compared with {' and '.join(baselines)}" if baselines else ""
    return f"{counted} of mota eval{compared}."


def _queries(table: Table, shown: Shown, id: str) -> list[str]:
    if isinstance(shown, str):
        heading = f'<h2 id="{id}">{escape(table.title)}: no pictures</h2>'
        return [f'<section aria-labelledby="{id}">{heading}<p class="lead">{escape(shown)}</p></section>']
    return [sampled_section(table.title, shown, id), hardest_section(table.title, shown, f"{id}-hardest")]


def _commands(runs: Sequence[Run]) -> list[str]:
    """The command lines of the runs, by the name of the program rather than its place."""
    known = [run.provenance.get("command") for run in runs]
    return [shlex.join(["mota", *map(str, words[1:])]) for words in known if isinstance(words, list) and words]


def _facts(runs: Sequence[Run]) -> Mapping[str, Mapping[str, str]]:
    """Per run: when and on what it was made."""
    return {str(run.path): facts for run in runs if (facts := _made(run))}


def _made(run: Run) -> dict[str, str]:
    versions = run.provenance.get("versions")
    found = {
        "created": run.provenance.get("created"),
        "mota": versions.get("mota") if isinstance(versions, Mapping) else None,
        "commit": run.provenance.get("commit"),
        "device": run.provenance.get("device"),
    }
    return {name: str(value) for name, value in found.items() if value}
