"""What every command shares: the loaded plugins, the console, and the options accepted everywhere."""

from __future__ import annotations

import inspect
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import typer
import typer.main

from motacli.commands import options
from motacli.commands.on_demand import Commands
from motacli.config import CommandSchema, OptionSchema, option_defaults, read_config
from motacli.console import Console
from motacli.plugins import PluginHost

_OWN_NAMES = ("config", "help", "version", "install-completion", "show-completion")


@dataclass(frozen=True, slots=True)
class Session:
    """One call of ``mota``."""

    host: PluginHost
    console: Console

    def versions(self) -> dict[str, str]:
        """The plugins in use and their versions, for `motacli.runs.provenance`."""
        return {row.name: row.version for row in self.host.rows() if row.status == "ok"}


def session(ctx: typer.Context) -> Session:
    """The session of the running command."""
    found = ctx.find_object(Session)
    if found is None:
        raise RuntimeError("this command was not started by motacli.cli.main")
    return found


def chosen_options(ctx: typer.Context) -> dict[str, object]:
    """The running command's options, after file, environment and flags, as `RunDir.write_config` takes them."""
    names = {param.name: _public_name(param) for param in ctx.command.params}
    return {names[name]: value for name, value in ctx.params.items() if value is not None}


def add_everywhere_options(command: Any) -> None:
    """Give a command, and those below it, ``--config --json --quiet --debug``; a command's own option wins.

    Those of the root group get theirs when they are made.
    """
    _add(command, _everywhere_params())


def _add(command: Any, params: list[Any]) -> None:
    own = {flag for param in command.params for flag in param.opts}
    command.params.extend(copy(param) for param in params if not own & set(param.opts))
    below = getattr(command, "commands", {})
    for child in () if isinstance(below, Commands) else below.values():
        _add(child, params)


def schema_of(command: Any) -> CommandSchema:
    """What a configuration file may say about a command and those below it."""
    callback = inspect.unwrap(command.callback) if command.callback else _nothing
    hints = {**get_type_hints(_everywhere), **get_type_hints(callback, include_extras=True)}
    declared: dict[str, OptionSchema] = {}
    for param in command.params:
        if (name := _public_name(param)) not in _OWN_NAMES:
            declared[name] = _option(param.name, hints.get(param.name, Any))
    children = getattr(command, "commands", {})
    return CommandSchema(declared, {name: schema_of(child) for name, child in children.items()})


def _public_name(param: Any) -> str:
    """What a file calls a parameter: its first long flag, or the name of an argument."""
    flags = [flag.lstrip("-") for flag in param.opts if flag.startswith("--")]
    return (flags[0] if flags else str(param.name)).replace("_", "-")


def _option(dest: str, hint: Any) -> OptionSchema:
    bounds = next((meta for meta in getattr(hint, "__metadata__", ()) if hasattr(meta, "min")), None)
    return OptionSchema(dest, hint, getattr(bounds, "min", None), getattr(bounds, "max", None))


@cache
def _everywhere_params() -> list[Any]:
    """The shared options as the parameters that Typer makes of them; which class that is depends on its version."""
    app = typer.Typer(add_completion=False)
    app.command()(_everywhere)
    params: list[Any] = [param for param in typer.main.get_command(app).params if param.name != "help"]
    for param in params:
        param.expose_value = False  # handled by the callbacks below: no command sees them as an argument
        param.is_eager = True
        param.callback = _CALLBACKS[str(param.name)]
        param.rich_help_panel = "Everywhere"
        param.show_envvar = False
    return params


def _everywhere(
    config: options.Config = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None: ...


def _nothing() -> None: ...


def _read_config(ctx: typer.Context, param: Any, value: str | Path | None) -> None:
    """Put the file's values below the command line and the environment; eager, so that it runs before they are read."""
    if value is None or ctx.resilient_parsing:
        return
    root, path = ctx, []
    while root.parent is not None:
        path.append(str(root.info_name))
        root = root.parent  # type: ignore[assignment]
    defaults = option_defaults(read_config(Path(value)), schema_of(root.command), str(value))
    for name in reversed(path):
        defaults = defaults.get(name, {})
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


def _raise_flag(ctx: typer.Context, param: Any, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        setattr(session(ctx).console, param.name, True)


_CALLBACKS = {"config": _read_config, "json": _raise_flag, "quiet": _raise_flag, "debug": _raise_flag}
