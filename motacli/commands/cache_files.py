"""`mota cache info | verify | repair | merge | export | import`: what can be done with feature files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from motacli.commands import options
from motacli.commands.session import session

app = typer.Typer(add_completion=False, no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A feature file, finished or not.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Feature files; their order is kept.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where the result goes; nothing is ever overwritten.")]
Wanted = Annotated[str | None, typer.Option("--model", help="Compare with this backbone, and say what differs.")]
Known = Annotated[str, typer.Option("--model", help="The backbone that made the features.")]
Unfinished = Annotated[bool, typer.Option("--unfinished", help="What is finished of a file under way.")]
Ids = Annotated[
    Path | None, typer.Option("--ids", help="Ids of a .npy file: .txt (one a line), .json, .jsonl, .npy or .parquet.")
]
IdColumn = Annotated[
    str | None, typer.Option("--id-column", help="Column of the ids. Default: image_path, key, id or url.")
]


@app.command("info")
def info(ctx: typer.Context, file: File) -> None:
    """Say what a file holds, what made it, and how far an unfinished one is."""
    from motacli.cache.describing import describe

    current = session(ctx)
    found = asdict(describe(file))
    if current.console.json:
        current.console.data(found)
    else:
        current.console.table(
            [{"what": name, "value": value} for name, value in found.items() if value not in ("", {})]
        )


@app.command("verify")
def verify(
    ctx: typer.Context,
    file: File,
    model: Wanted = None,
    pretrained: options.Pretrained = None,
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
) -> None:
    """Check every number against the checksums, ids for duplicates, features for NaN; exit code 1 where one fails."""
    from motacli.cache.verifying import verify_cache
    from motacli.models import BackboneChoice, load_backbone

    current = session(ctx)
    choice = BackboneChoice(model or "", pretrained, "cpu", precision.value, preprocess.value)
    found = verify_cache(file, load_backbone(current.host, choice) if model else None)
    current.console.data(found) if current.console.json else current.console.table([found.numbers()])
    for problem in found.problems:
        current.console.warn(problem)
    if found.problems:
        raise typer.Exit(1)


@app.command("repair")
def repair(ctx: typer.Context, file: File) -> None:
    """Drop what is damaged, and keep the rest; `mota cache --append` then encodes what was dropped.

    A damaged file is kept as FILE.damaged. Of an unfinished one damaged parts are dropped, and the same `mota cache`
    makes them again.
    """
    from motacli.cache.repairing import repair_cache

    current = session(ctx)
    current.console.table([repair_cache(file)])


@app.command("merge")
def merge(ctx: typer.Context, files: Files, out: Out) -> None:
    """Put files together, as the shards of one source; each picture may be in one of them only."""
    from motacli.cache.merging import merge_caches

    current = session(ctx)
    made = merge_caches(files, out, current.console)
    current.console.table([{"file": made.path, "pictures": len(made), "skipped": made.skipped}])


@app.command("export")
def export(ctx: typer.Context, file: File, out: Out, unfinished: Unfinished = False) -> None:
    """Write the features for other tools: .npy (ids as .jsonl), .parquet or .safetensors, by the ending of --out.

    With --unfinished they are those that are finished of a file whose builder may go on meanwhile, and --out may be a
    feature file (.h5), too.
    """
    from motacli.cache.exporting import export_cache
    from motacli.cache.unfinished import export_finished

    current = session(ctx)
    if unfinished:
        found, files = export_finished(file, out)
        current.console.log(f"{found.done} of {found.plan.rows} pictures are done, {len(found)} of them have features")
    else:
        files = export_cache(file, out)
    current.console.table([{"file": path} for path in files])


@app.command("import")
def import_(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A .npy file, or a folder as of clip-retrieval.")],
    out: Out,
    model: Known,
    ids: Ids = None,
    id_column: IdColumn = None,
    pretrained: options.Pretrained = None,
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
) -> None:
    """Make a feature file of features from elsewhere: you vouch for the backbone that made them.

    A folder holds img_emb/*.npy and metadata/*.parquet, as clip-retrieval writes them (`mota[parquet]`).
    """
    from motacli.cache.importing import import_features
    from motacli.models import BackboneChoice, load_backbone

    current = session(ctx)
    choice = BackboneChoice(model, pretrained, "cpu", precision.value, preprocess.value)
    made = import_features(source, out, load_backbone(current.host, choice), ids, id_column)
    current.console.table([{"file": made.path, "pictures": len(made), "normalised": made.normalised}])
