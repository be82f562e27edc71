"""`mota ls`: the parts one can name in options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from motacli.commands.session import session
from motacli.components import KINDS
from motacli.plugins import PluginHost


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the listing."""

    kind: str
    name: str
    summary: str
    plugin: str


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ls")(ls)


def ls(
    ctx: typer.Context,
    kind: Annotated[str | None, typer.Argument(help=f"Only this kind: {', '.join(KINDS)}.")] = None,
) -> None:
    """List backbones, inversions, adapters, benchmarks, triplet generators and LLM clients."""
    current = session(ctx)
    current.console.table(parts(current.host, list(KINDS) if kind is None else [kind]))


def parts(host: PluginHost, kinds: list[str]) -> list[Part]:
    """Every component of the given kinds."""
    return [Part(c.kind, c.name, c.summary, c.plugin) for kind in kinds for c in host.components(kind)]
