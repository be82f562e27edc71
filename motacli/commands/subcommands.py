"""A command that has commands below it: ``mota cache FOLDER`` builds, ``mota cache info FILE`` looks."""

from __future__ import annotations

from typing import Any

import typer
import typer.core
import typer.main


class CommandWithCommands(typer.core.TyperCommand):
    """A command of its own, unless its first word names one of ``below``, which subclasses fill."""

    below: typer.Typer

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.commands: dict[str, Any] = dict(typer.main.get_group(self.below).commands)
        self.epilog = f"Also, each with its own --help: {', '.join(f'{self.name} {word}' for word in self.commands)}."

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of this command, or of the one that the first word names."""
        if args and args[0] in self.commands:
            alone = typer.core.TyperCommand(self.name)  # without this command's arguments, which usage would name
            between = self.context_class(alone, info_name=info_name, parent=parent, **extra)
            return self.commands[args[0]].make_context(args[0], args[1:], parent=between)
        return super().make_context(info_name, args, parent=parent, **extra)
