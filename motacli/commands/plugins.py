"""`mota plugins`: which plugins are there, and what became of each. What helps to write one: `plugin_tools`."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from motacli.commands import plugin_tools
from motacli.commands.session import session
from motacli.commands.subcommands import CommandWithCommands
from motacli.errors import MotaError

Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 where a plugin failed; tries all commands.")]
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
    if strict:
        _make_commands(ctx.find_root().command)
    current.console.table(current.host.hook_calls() if trace else current.host.rows())
    if strict and any(row.status == "failed" for row in current.host.rows()):
        raise typer.Exit(1)


def _make_commands(root: Any) -> None:
    """Have every plugin's commands made, which otherwise waits until one is called; rows tell what went wrong."""
    for name in root.commands:
        with suppress(MotaError):
            root.commands[name]
