"""The commands of the root group, each made of its function when it is first asked for.

Typer looks at every parameter of every command as soon as an app becomes a group; with all of ours that takes longer
than anything else ``mota --help`` does, and a call uses one of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import typer
import typer.core
import typer.main


@dataclass(frozen=True)
class Waiting:
    """A command that is not made yet: what the list of commands says of it, and ``make``, which gives it."""

    help: str
    hidden: bool
    make: Callable[[], Any]


class Commands(dict[str, Any]):
    """Commands by name; whoever looks one up gets it made."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, Waiting):
            found = found.make()
            self[name] = found
        return found

    def get(self, name: str, default: Any = None) -> Any:
        """The command of that name, or ``default``."""
        if name not in self:
            return default
        return self[name]

    def values(self) -> Any:
        """All commands."""
        self._make_all()
        return super().values()

    def items(self) -> Any:
        """All commands and their names."""
        self._make_all()
        return super().items()

    def listed(self) -> Iterator[tuple[str, str]]:
        """Name and first paragraph of the help of each command that is not hidden, without making any."""
        for name in self:
            command = super().__getitem__(name)
            if not command.hidden:
                yield name, " ".join((command.help or "").split("\n\n")[0].split())

    def _make_all(self) -> None:
        for name in self:
            self[name]


class RootGroup(typer.core.TyperGroup):
    """A group whose help lists the commands in whole sentences, and makes none of them for it."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the section of the commands."""
        assert isinstance(self.commands, Commands)
        with formatter.section("Commands"):
            formatter.write_dl(list(self.commands.listed()))


def waiting_commands(app: typer.Typer) -> Iterator[tuple[str, Waiting]]:
    """What a filled app adds to the root group, by name; a group without a name adds what is in it."""
    for command in app.registered_commands:
        name = command.name or typer.main.get_command_name(_name_of(command.callback))
        text = command.short_help or command.help or inspect.getdoc(command.callback) or ""
        yield name, Waiting(text, command.hidden, _maker(app, name, commands=[command]))
    for group in app.registered_groups:
        solved = typer.main.solve_typer_info_defaults(group)
        if solved.name:
            text = solved.short_help or solved.help or ""
            yield solved.name, Waiting(text, bool(solved.hidden), _maker(app, solved.name, groups=[group]))
        else:
            for name, made in _alone(app, groups=[group]).items():
                yield name, Waiting(made.help or "", made.hidden, lambda made=made: made)  # type: ignore[misc]


def _name_of(callback: Any) -> str:
    return str(getattr(callback, "__name__", ""))


def _maker(app: typer.Typer, name: str, **entries: Any) -> Callable[[], Any]:
    return lambda: _alone(app, **entries)[name]


def _alone(app: typer.Typer, *, commands: Any = (), groups: Any = ()) -> dict[str, Any]:
    """Some entries of an app as commands."""
    some = typer.Typer(rich_markup_mode=app.rich_markup_mode, add_completion=False)
    some.registered_commands, some.registered_groups = list(commands), list(groups)
    return dict(typer.main.get_group(some).commands)
