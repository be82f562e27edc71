"""`mota plugins`: which plugins are there, and what became of each. What helps to write one: `plugin_tools`."""

from __future__ import annotations

from typing import Annotated

import typer

from motacli.commands import plugin_tools
from motacli.commands.session import session
from motacli.commands.subcommands import CommandWithCommands

Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 where a plugin failed.")]
Trace = Annotated[bool, typer.Option("--trace", help="List every import and hook call instead, and its time.")]


class PluginsCommand(CommandWithCommands):
    """``mota plugins``, with the commands for those who write one."""

    below = plugin_tools.app


def register(app: typer.Typer) -> None:
    """Add the command, and those below it."""
    app.command("plugins", cls=PluginsCommand)(plugins)


def plugins(ctx: typer.Context, strict: Strict = False, trace: Trace = False) -> None:
    """List the plugins: name, version, whether it loaded and why not, and what it offers.

    The reason of one that loaded is a warning: it is slow, imports what is heavy, or shares a name with another."""
    current = session(ctx)
    current.console.table(current.host.hook_calls() if trace else current.host.rows())
    if strict and any(row.status == "failed" for row in current.host.rows()):
        raise typer.Exit(1)
