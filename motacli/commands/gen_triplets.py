"""`mota gen-triplets`: training triplets from an image-text data set."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from motacli.assignments import read_assignments
from motacli.commands import options
from motacli.commands.session import Session, session

EXAMPLES = 3

Data = Annotated[Path, typer.Option("--data", help="Image-text data: a folder, or a CSV, TSV or JSONL file.")]
Generator = Annotated[str, typer.Option("--generator", help="Triplet generator, see `mota ls generators`.")]
PerImage = Annotated[int | None, typer.Option("--per-image", min=1, help="Triplets per row.")]
Context = Annotated[str | None, typer.Option("--context", help="Target's context: mixed, change, keep or omit.")]
GeneratorSeed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Read only so many rows.")]
Option = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Option of the generator; repeatable.")
]
ImageColumn = Annotated[str | None, typer.Option("--image-column", help="Column of the image paths.")]
CaptionColumn = Annotated[str | None, typer.Option("--caption-column", help="Column of the captions.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gen-triplets")(gen_triplets)


def gen_triplets(
    ctx: typer.Context,
    data: Data,
    out: options.Out,
    generator: Generator = "rules",
    per_image: PerImage = None,
    context: Context = None,
    seed: GeneratorSeed = None,
    limit: Limit = None,
    option: Option = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    resume: options.Resume = False,
) -> None:
    """Write triplets (reference image, relative caption, target caption) as JSONL, with a record beside it."""
    from motacli.datasets import open_source
    from motacli.triplets.pipeline import generate, load_generator

    current = session(ctx)
    asked = {"per_image": per_image, "context": context, "seed": seed}
    values = {**read_assignments(option or ()), **{key: value for key, value in asked.items() if value is not None}}
    report = generate(
        open_source(data, image_column, caption_column),
        load_generator(current.host, generator, values),
        out,
        source_name=str(data),
        limit=limit,
        resume=resume,
        progress=current.console,
    )
    if current.console.json:
        current.console.data(report)
        return
    shares = report.modifications.items()
    current.console.table(
        [{"modification": name, "triplets": n, "percent": 100 * n / report.triplets} for name, n in shares]
    )
    if not current.console.quiet:
        _show_examples(current, out)
    current.console.log(f"{report.triplets} triplets of {report.rows} rows, {report.skipped} rows gave none: {out}")


def _show_examples(current: Session, out: Path) -> None:
    from motacli.triplets.schema import iter_triplets

    for triplet in islice(iter_triplets(out), EXAMPLES):
        lines = (triplet.reference_caption, f"  + {triplet.relative_caption}", f"  = {triplet.target_caption}")
        current.console.data("\n".join(("", *lines)))
