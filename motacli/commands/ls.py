"""`mota ls`: the parts one can name in options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from motacli.commands.session import session
from motacli.components import KINDS
from motacli.errors import UnknownNameError, UsageError
from motacli.plugins import PluginHost

PRETRAINED = "pretrained"
"""What open_clip offers: no kind of component, and listed only when asked for."""

OPTIONS = "options"
"""What a component's ``--option`` may set; what is listed is named behind it."""

Kind = Annotated[str | None, typer.Argument(help=f"Only this kind: {', '.join([*KINDS, PRETRAINED, OPTIONS])}.")]
Of = Annotated[str | None, typer.Argument(metavar="NAME", help="For options: an adapter, inversion, ..., or train.")]
ModelPattern = Annotated[
    str | None, typer.Option("--model", metavar="PATTERN", help="For pretrained: only these models, as 'ViT-B*'.")
]


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


def ls(ctx: typer.Context, kind: Kind = None, of: Of = None, model: ModelPattern = None) -> None:
    """List backbones, inversions, adapters, benchmarks, generators, LLM clients and index stores, or pretrained models.

    `mota ls options mota` lists what --option of an adapter may set, `mota ls options train` what --train-option may.
    """
    current = session(ctx)
    if kind is not None and kind not in (*KINDS, PRETRAINED, OPTIONS):
        raise UnknownNameError("kind", kind, (*KINDS, PRETRAINED, OPTIONS))
    if (kind == OPTIONS) != (of is not None):
        raise UsageError("a name goes with options, and options with a name", "as in `mota ls options mota`")
    if of is not None:
        from motacli.option_listing import list_options

        tables = list_options(current.host, of)
        if current.console.json:
            current.console.data(tables)
            return
        for table in tables:
            current.console.log(f"{table.of}\n{table.text}\n")
            current.console.table(table.rows)
        return
    if kind == PRETRAINED:
        from motacli.pretrained import list_pretrained

        current.console.table(list_pretrained(model or "*"))
        return
    if model is not None:
        raise UsageError("--model only narrows the list of pretrained models", f"say `mota ls {PRETRAINED}`")
    current.console.table(parts(current.host, list(KINDS) if kind is None else [kind]))


def parts(host: PluginHost, kinds: list[str]) -> list[Part]:
    """Every component of the given kinds."""
    return [Part(c.kind, c.name, c.summary, c.plugin) for kind in kinds for c in host.components(kind)]
