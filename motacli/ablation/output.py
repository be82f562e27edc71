"""Writes what can be made anew from the jobs at any time: tables and figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from motacli.ablation.figures import draw
from motacli.ablation.grid import Grid
from motacli.ablation.rows import Row
from motacli.ablation.tables import as_csv, latex, markdown
from motacli.console import Progress
from motacli.errors import UsageError
from motacli.runs import explained, jsonable, replace_file


def write_output(folder: Path, rows: Sequence[Row], grid: Grid, progress: Progress) -> list[Path]:
    """Tables as Markdown, CSV, LaTeX and JSON, and figures where matplotlib is there; earlier ones are replaced."""
    tables = {
        "table.md": markdown(rows, grid),
        "table.csv": as_csv(rows),
        "table.tex": latex(rows, grid),
        "table.json": json.dumps(jsonable(rows), indent=2, ensure_ascii=False) + "\n",
    }
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = [replace_file(folder / name, text.encode()) for name, text in tables.items()]
    try:
        written += [replace_file(folder / name, content) for name, content in draw(rows, grid)]
    except UsageError as error:  # no matplotlib: tables are worth something without
        progress.log(f"no figures: {error}")
    return written
