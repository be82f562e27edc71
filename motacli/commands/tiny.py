"""`mota tiny`: a small world of coloured shapes to try everything on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from motacli.commands import options
from motacli.commands.session import session
from motacli.plugins import PluginHost


class Split(StrEnum):
    """The world's splits: training pairs, and the mini benchmarks of two sets of unseen objects."""

    train = "train"
    val = "val"
    test = "test"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the world as its own loader reads it."""

    part: str
    queries: int | None
    pictures: int


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the world; an unfinished one is gone on with.")]
Splits = Annotated[list[Split] | None, typer.Option("--split", help="What to write; repeatable. Default: train, test.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        help="The tiny world: training pairs and mini benchmarks, drawn in seconds.", no_args_is_help=True
    )
    group.callback()(_group)
    group.command("make")(make)
    app.add_typer(group, name="tiny")


def _group() -> None:
    """The tiny world: training pairs and mini benchmarks, drawn in seconds."""


def make(ctx: typer.Context, folder: Folder, seed: options.Seed = 0, split: Splits = None) -> None:
    """Write image-text pairs to DIR/train and the four mini benchmarks to DIR/SPLIT/BENCHMARK."""
    from motacli.tiny.make import make_world

    current = session(ctx)
    splits = list(dict.fromkeys(one.value for one in split or (Split.train, Split.test)))
    make_world(folder, seed, splits, current.console)
    current.console.table([part for one in splits for part in contents(current.host, folder, one)])


def contents(host: PluginHost, folder: Path, split: str) -> list[Part]:
    """What a split holds, read by the loaders that read real data."""
    from motacli.datasets import open_source
    from motacli.tiny.make import CAPTION_FILE, WRITERS

    if split == "train":
        return [Part("train", None, sum(1 for _ in open_source(folder / "train" / CAPTION_FILE)))]
    parts = []
    for name in WRITERS:
        units = host.component("benchmarks", name).make().load(folder / split / name)
        pictures = {image.path for unit in units for image in unit.images.values()}
        parts.append(Part(f"{split}/{name}", sum(len(unit.queries) for unit in units), len(pictures)))
    return parts
