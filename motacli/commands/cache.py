"""`mota cache`: image features, and those of captions, in HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from motacli.commands import options
from motacli.commands.session import session
from motacli.console import Console
from motacli.errors import UsageError

if TYPE_CHECKING:
    from motacli.cache import FeatureCache

Data = Annotated[Path | None, typer.Option("--data", help="Image-text data, of any kind in the README.")]
BenchmarkName = Annotated[str | None, typer.Option("--benchmark", help="Benchmark, see `mota ls benchmarks`.")]
Root = Annotated[Path | None, typer.Option("--data-root", help="Folder that holds the benchmark.")]
ImageColumn = Annotated[str | None, typer.Option("--image-column", help="Column of the image paths in --data.")]
CaptionColumn = Annotated[str | None, typer.Option("--caption-column", help="Column of the captions in --data.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("cache")(cache)


def cache(
    ctx: typer.Context,
    out: options.Out,
    data: Data = None,
    benchmark: BenchmarkName = None,
    data_root: Root = None,
    split: options.Split = None,
    part: options.Parts = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = 0,
    resume: options.Resume = False,
) -> None:
    """Encode pictures once: an image-text set into one file, or a benchmark into a folder with one file per unit."""
    from motacli.cache import build_cache
    from motacli.datasets import open_source
    from motacli.evaluating import build_unit_caches
    from motacli.models import BackboneChoice, load_backbone
    from motacli.runs import refuse_existing

    current = session(ctx)
    _refuse_mixtures(ctx)
    refuse_existing(out)
    choice = BackboneChoice(model, pretrained, device, precision.value, preprocess.value)
    how = How(batch_size=batch_size, workers=workers, progress=current.console, resume=resume)
    if data is not None:
        source = open_source(data, image_column, caption_column, id_column="")
        caches = [build_cache(out, load_backbone(current.host, choice), source, **how)]
    elif benchmark is not None and data_root is not None:
        units = current.host.component("benchmarks", benchmark).load()().load(data_root, split, part or ())
        caches = build_unit_caches(out, load_backbone(current.host, choice), units, **how)
    current.console.table([_row(cache) for cache in caches])


class How(TypedDict):
    """The arguments that both builders share."""

    batch_size: int
    workers: int
    progress: Console
    resume: bool


def _refuse_mixtures(ctx: typer.Context) -> None:
    """Exactly one source, and no option that only the other one has."""
    given = {name for name, value in ctx.params.items() if value}
    if ("data" in given) == ("benchmark" in given):
        raise UsageError("say what to encode", "either --data, or --benchmark with --data-root")
    if "benchmark" in given and "data_root" not in given:
        raise UsageError("where is the benchmark?", "give --data-root")
    other = ("image_column", "caption_column") if "benchmark" in given else ("data_root", "split", "part")
    wrong = [f"--{name.replace('_', '-')}" for name in other if name in given]
    if wrong:
        raise UsageError(f"{wrong[0]} does not go with --{'benchmark' if 'benchmark' in given else 'data'}")


def _row(cache: FeatureCache) -> dict[str, object]:
    return {
        "file": cache.path,
        "pictures": len(cache),
        "captions": len(cache) if cache.has_captions else 0,
        "dim": cache.joint_dim,
        "backbone": cache.backbone,
        "fingerprint": cache.fingerprint,
    }
