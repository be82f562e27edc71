"""`mota plugins new | docs`: a package to start from, and what each hook wants."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from motacli.commands.session import session

app = typer.Typer(add_completion=False, no_args_is_help=True)


class Kind(StrEnum):
    """What a new plugin offers."""

    inversion = "inversion"
    backbone = "backbone"
    adapter = "adapter"
    benchmark = "benchmark"
    generator = "generator"
    llm = "llm"
    store = "store"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the part, as users will type it: my-words.")]
KindOption = Annotated[Kind, typer.Option("--kind", help="What the plugin offers.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder to write; must not exist. Default: ./mota-NAME.")]
Hook = Annotated[str | None, typer.Argument(metavar="HOOK", help="One hook. Default: all of them.")]


@app.command("new")
def new(ctx: typer.Context, name: Name, kind: KindOption, out: Out = None) -> None:
    """Write a working package to start from: project file, README, a part that does something simple, and its tests."""
    from motacli.skeleton import write_skeleton

    current = session(ctx)
    made = write_skeleton(name, kind.value, out)
    current.console.data(made if current.console.json else "\n".join(str(path) for path in made.files))
    current.console.log(f"try it: cd {made.folder} && pip install -e . && python -m pytest && mota plugins")


@app.command("docs")
def docs(ctx: typer.Context, hook: Hook = None) -> None:
    """Print what a hook wants and what its parts have to do, as Markdown."""
    from motacli.hook_docs import hook_names, hook_page

    pages = [hook_page(name) for name in ([hook] if hook else hook_names())]
    session(ctx).console.data("\n".join(pages).rstrip("\n"))
