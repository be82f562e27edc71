"""Puts the sections into the page and writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from motacli import __version__
from motacli.report.content import Report
from motacli.report.routing import routing_section
from motacli.report.samples import hero_equation, sample_section
from motacli.report.scores import gain_tiles, score_section
from motacli.runs import new_file


def write_report(path: Path, report: Report) -> Path:
    """Write the page to ``path``, which must not exist yet."""
    return write_page(path, render_report(report))


def write_page(path: Path, page: str) -> Path:
    """Write a page to ``path``, which must not exist yet."""
    with new_file(path) as work:
        # A caption read from JSON may hold half a surrogate pair, which UTF-8 cannot write.
        work.write_bytes(page.encode("utf-8", errors="xmlcharrefreplace"))
    return path


def render_report(report: Report) -> str:
    """The page as HTML. Raises `motacli.errors.DataError` where a sample's picture cannot be read."""
    return render_page(
        report.title,
        report.summary,
        opening=[hero_equation(report), gain_tiles(report.table)],
        sections=[
            score_section(report.table, report.adapter),
            sample_section(report),
            routing_section(report.routing),
            making_section(report.commands, report.facts),
        ],
    )


def render_page(title: str, summary: str, *, opening: Sequence[str], sections: Sequence[str]) -> str:
    """A page of ready-made parts: title and summary are texts, the others HTML."""
    return Template(_asset("page.html")).substitute(
        style=_asset("page.css"),
        title=escape(title),
        summary=escape(summary),
        opening="\n".join(opening),
        sections="\n".join(sections),
        version=escape(__version__),
    )


def making_section(commands: Sequence[str], facts: Mapping[str, Mapping[str, str]]) -> str:
    """The commands to repeat it all, and what they ran on."""
    if not commands and not facts:
        return ""
    lines = "".join(f"<li><code>{_unbroken(command)}</code></li>" for command in commands)
    listing = f'<ol class="commands">{lines}</ol>' if commands else ""
    tables = "".join(_facts(title, values) for title, values in facts.items())
    grid = f'<div class="facts">{tables}</div>' if tables else ""
    return f'<section aria-labelledby="making"><h2 id="making">How it was made</h2>{listing}{grid}</section>'


def _unbroken(command: str) -> str:
    """The words of a command, each in its own box: browsers would break lines behind the hyphens of ``--option``."""
    return " ".join(f"<span>{escape(word)}</span>" for word in command.split(" "))


def _facts(title: str, values: Mapping[str, str]) -> str:
    rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in values.items())
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


def _asset(name: str) -> str:
    return files("motacli.report").joinpath(name).read_text(encoding="utf-8")
