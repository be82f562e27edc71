"""`mota plugins`: which plugins are there, and what became of each."""

from __future__ import annotations

import typer

from motacli.commands.session import session


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plugins")(plugins)


def plugins(ctx: typer.Context) -> None:
    """List the plugins: name, version, whether it loaded and why not, and what it offers."""
    current = session(ctx)
    current.console.table(current.host.rows())
