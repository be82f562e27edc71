"""Parts that the pages of analyses share."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from motacli.report.page import write_page
from motacli.runs import PROVENANCE, RunDir


def section(id: str, heading: str, lead: str, body: str) -> str:
    """A section with a heading and, where there is one, a leading paragraph; nothing without a body."""
    if not body:
        return ""
    said = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f'<section aria-labelledby="{id}"><h2 id="{id}">{escape(heading)}</h2>{said}{body}</section>'


def data_table(caption: str, rows: Sequence[Mapping[str, Any]], heads: int = 1) -> str:
    """Rows as a table; the first ``heads`` cells of each say what it is."""
    if not rows:
        return ""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    body = "".join(f"<tr>{_cells(row, heads)}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption)}" tabindex="0"><table class="numbers">'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(row: Mapping[str, Any], heads: int) -> str:
    texts = [escape(str(value)) for value in row.values()]
    names = "".join(f'<th scope="row">{text}</th>' for text in texts[:heads])
    return names + "".join(f"<td>{text}</td>" for text in texts[heads:])


def sentences(texts: Iterable[str]) -> str:
    """Sentences below each other."""
    rows = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="verdicts">{rows}</ul>' if rows else ""


def command_of(made: Mapping[str, object]) -> list[str]:
    """The command line of a provenance record, by the name of the program rather than its place."""
    words = made.get("command")
    return [shlex.join(["mota", *map(str, words[1:])])] if isinstance(words, list) and words else []


def write_analysis(out: Path, page: str, name: str, found: object, made: Mapping[str, object]) -> None:
    """Write the page to ``out`` where that ends in ``.html``; else a folder with page, numbers and provenance."""
    if out.suffix.lower() in (".html", ".htm"):
        write_page(out, page)
        return
    with RunDir.create(out) as run:
        write_page(run.file("report.html"), page)
        run.write_json(f"{name}.json", found)
        run.write_json(PROVENANCE, made)
