"""`mota index`: a folder of pictures, made searchable and kept up to date."""

from __future__ import annotations

import os
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.assignments import read_assignments
from motacli.commands import options
from motacli.commands.session import session
from motacli.errors import UsageError
from motacli.search.config import CONFIG, PROMPT, STATES, IndexConfig, read_config

if TYPE_CHECKING:
    from motacli.console import Console
    from motacli.search.renewing import IndexReport


class Stored(StrEnum):
    """Number types on disk."""

    fp16 = "fp16"
    fp32 = "fp32"

    @property
    def dtype(self) -> str:
        """numpy's name."""
        return "float16" if self is Stored.fp16 else "float32"


MAKING = ("model", "pretrained", "precision", "preprocess", "store", "store_options", "dtype", "thumbnails", "prompt")
"""What an index is made with and keeps; what is given with --update has to be the same."""
PARTS = ("inversion", "inversion_weights", "adapter")
SHOWN = ("index", "rows", "kept", "touched", "changed", "moved", "added", "deleted", "encoded", "broken", "seconds")
"""Columns of the table; ``--json`` has all that the report says."""

Place = Annotated[
    Path, typer.Argument(metavar="FOLDER|INDEX", help="A folder of pictures; without --out, an index that is there.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The index, a folder such as my.mota.")]
Update = Annotated[bool, typer.Option("--update", help="Bring the index up to date with its folder.")]
Info = Annotated[bool, typer.Option("--info", help="Say what the index is of and what made it.")]
NewFolder = Annotated[Path | None, typer.Option("--folder", help="Where the pictures of an index are by now.")]
Rehash = Annotated[bool, typer.Option("--rehash", help="With --update: look into every file, whatever its time.")]
InversionName = Annotated[str | None, typer.Option("--inversion", help="Inversion: a name or a trained run's folder.")]
InversionWeights = Annotated[Path | None, typer.Option("--inversion-weights", help="Weights of the inversion.")]
Adapter = Annotated[Path | None, typer.Option("--adapter", help="Adapter: a trained run's folder.")]
Store = Annotated[str, typer.Option("--store", help="What finds rows, see `mota ls stores`.")]
StoreOption = Annotated[
    list[str] | None, typer.Option("--store-option", metavar="KEY=VALUE", help="The store's option; repeatable.")
]
StoredOption = Annotated[Stored, typer.Option("--dtype", help="Number type of the features.")]
Thumbnails = Annotated[int, typer.Option("--thumbnails", min=0, metavar="PX", help="Their longer side; 0: none.")]
MetadataFile = Annotated[Path | None, typer.Option("--metadata", help="CSV with a column `path` and any others.")]
Features = Annotated[
    list[Path] | None,
    typer.Option("--features", metavar="FILE", help="Feature file of the folder, from `mota cache`; repeatable."),
]
PromptTemplate = Annotated[str, typer.Option("--prompt", help="Template of composed queries.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="How many read pictures ahead of the encoder.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("index")(index)


def index(
    ctx: typer.Context,
    place: Place,
    out: Out = None,
    update: Update = False,
    info: Info = False,
    folder: NewFolder = None,
    rehash: Rehash = False,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    batch_size: options.BatchSize = 64,
    workers: Workers = 0,
    inversion: InversionName = None,
    inversion_weights: InversionWeights = None,
    adapter: Adapter = None,
    store: Store = "exact",
    store_option: StoreOption = None,
    dtype: StoredOption = Stored.fp16,
    thumbnails: Thumbnails = 0,
    metadata: MetadataFile = None,
    prompt: PromptTemplate = PROMPT,
    features: Features = None,
) -> None:
    """Index a folder of pictures for `mota search`, or bring an index up to date: only new pictures are encoded.

    Interrupted, the same command goes on. While an index is brought up to date, or if that comes to nothing, it answers
    as before.
    """
    current = session(ctx)
    path = place if out is None else out
    _refuse_mixtures(ctx.params)
    if info:
        _tell(current.console, path)
        return
    from motacli.search.building import index_folder, move_folder, update_index

    if folder is not None:
        move_folder(path, folder)
    how: dict[str, Any] = {"batch_size": batch_size, "workers": workers, "features": features or ()}
    how["progress"] = current.console
    if update and (out is None or (out / CONFIG).is_file()):
        _refuse_others(ctx, read_config(path), None if out is None else place)
        renewed = update_index(path, host=current.host, device=device, rehash=rehash, metadata=metadata, **how)
        _report(current.console, path, renewed)
    elif out is not None:
        from motacli.models import BackboneChoice

        made = index_folder(
            out,
            place,
            host=current.host,
            choice=BackboneChoice(model, pretrained, device, precision.value, preprocess.value),
            inversion=inversion,
            inversion_weights=inversion_weights,
            adapter=adapter,
            store=store,
            store_options=read_assignments(store_option or ()),
            dtype="float16" if dtype is Stored.fp16 else "float32",
            thumbnails=thumbnails,
            metadata=metadata,
            prompt=prompt,
            **how,
        )
        _report(current.console, out, made)


def _refuse_mixtures(given: dict[str, Any]) -> None:
    update, info, folder, out = (given[name] for name in ("update", "info", "folder", "out"))
    if out is None and not (update or info or folder):
        raise UsageError("where does the index go?", "give -o my.mota; for an index that is there: --update or --info")
    if out is not None and (info or folder):
        raise UsageError(f"--{'info' if info else 'folder'} does not go with --out", "give the index alone")
    if info and (update or folder):
        raise UsageError("--info does not go with --update and --folder")
    if given["rehash"] and not update:
        raise UsageError("--rehash is for --update")


def _refuse_others(ctx: typer.Context, config: IndexConfig, folder: Path | None) -> None:
    """What an index was made with, it keeps."""
    if folder is not None and folder.resolve() != Path(config.folder).resolve():
        raise UsageError(
            f"the index is of {config.folder}, not of {folder}",
            "if the pictures were moved: `mota index INDEX --folder NEW`",
        )
    for name in (*MAKING, *PARTS):
        param = "store_option" if name == "store_options" else name
        if getattr(ctx.get_parameter_source(param), "name", "") != "COMMANDLINE":
            continue
        if name in PARTS or getattr(config, name) not in _recorded(ctx.params[param]):
            flag = f"--{param.replace('_', '-')}"
            raise UsageError(f"{flag} is not for --update: an index keeps what it was made with", "build another index")


def _recorded(value: Any) -> tuple[Any, ...]:
    """How an index may have recorded an option."""
    if isinstance(value, list):
        return (read_assignments(value),)
    if isinstance(value, Stored):
        return (value.dtype,)
    return (value, os.path.abspath(value)) if isinstance(value, str) else (value,)


def _tell(console: Console, path: Path) -> None:
    config = read_config(path)
    if console.json:
        console.data({"index": path, **asdict(config)})
        return
    unsaid = ("scanned_ns", "counts", "joint_dim")
    said = {k: v for k, v in asdict(config).items() if k not in unsaid and v not in (None, "", {}, 0)}
    console.table([{"what": name.replace("_", " "), "value": value} for name, value in said.items()])


def _report(console: Console, path: Path, report: IndexReport) -> None:
    if report.taken:
        console.log(f"the features of {report.taken} pictures were taken from files")
    if report.broken:
        where = path / STATES / f"{report.state:06d}" / "errors.jsonl"
        console.warn(f"{report.broken} pictures could not be read: {where} says why")
    if report.outside:
        console.log(f"{report.outside} links lead out of the folder and are left out")
    if console.json:
        console.data({"index": path, **asdict(report)})
    else:
        console.table([{"index": path, **asdict(report)}], columns=SHOWN)
