"""`mota cache`: image features, and those of captions, in HDF5 files. What can be done with one: `cache_files`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from motacli.commands import cache_files, cluster_options, options
from motacli.commands.session import Session, session
from motacli.commands.subcommands import CommandWithCommands
from motacli.console import Console
from motacli.errors import UsageError
from motacli.remote.urls import path_of

if TYPE_CHECKING:
    from motacli.cache import CacheOptions, FeatureCache
    from motacli.cache.encoder import Engine
    from motacli.cluster import ClusterOptions
    from motacli.contracts import Backbone
    from motacli.models import BackboneChoice


class Stored(StrEnum):
    """Number types on disk."""

    fp32 = "fp32"
    fp16 = "fp16"


class Layout(StrEnum):
    """One file, or a small one over the parts it was made in."""

    single = "single"
    parts = "parts"


class Decode(StrEnum):
    """Who decodes pictures ahead of the encoder."""

    threads = "threads"
    processes = "processes"
    gpu = "gpu"


class Autocast(StrEnum):
    """Number types of matrix products."""

    off = "off"
    bf16 = "bf16"
    fp16 = "fp16"


class CacheCommand(CommandWithCommands):
    """``mota cache``, with the commands that take a finished file."""

    below = cache_files.app


Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="SOURCE", parser=path_of, help="A folder of pictures, or image-text data of any kind in the README."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The file; of --benchmark, a folder.")]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="PATH", parser=path_of, help="As SOURCE, but captions are required.")
]
BenchmarkName = Annotated[str | None, typer.Option("--benchmark", help="Benchmark, see `mota ls benchmarks`.")]
Root = Annotated[Path | None, typer.Option("--data-root", help="Folder that holds the benchmark.")]
ImageColumn = Annotated[str | None, typer.Option("--image-column", help="Column of the image paths in the data.")]
CaptionColumn = Annotated[str | None, typer.Option("--caption-column", help="Column of the captions in the data.")]
StoredOption = Annotated[Stored | None, typer.Option("--dtype", help="Number type on disk. Default: fp32.")]
LayoutOption = Annotated[Layout, typer.Option("--layout", help="One file, or a small one over its parts.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first picture that cannot be read.")]
Append = Annotated[bool, typer.Option("--append", help="Add what a finished file does not hold yet.")]
ShardText = Annotated[str | None, typer.Option("--shard", metavar="N/M", help="Only the N-th of M pieces.")]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Go on with an unfinished file, as without the option.")
]
Workers = Annotated[int, typer.Option("--workers", min=0, help="How many read pictures ahead of the encoder.")]
AutocastOption = Annotated[Autocast, typer.Option("--autocast", help="Mixed precision; is recorded.")]
Compile = Annotated[bool, typer.Option("--compile", help="torch.compile the image tower.")]
DecodeOption = Annotated[
    Decode, typer.Option("--decode", help="What --workers are; gpu: threads, and JPEGs on the GPU.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("cache", cls=CacheCommand)(cache)


def cache(
    ctx: typer.Context,
    out: Out,
    source: Source = None,
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
    workers: Workers = 0,
    decode: DecodeOption = Decode.threads,
    autocast: AutocastOption = Autocast.off,
    compile: Compile = False,
    dtype: StoredOption = None,
    layout: LayoutOption = Layout.single,
    strict: Strict = False,
    append: Append = False,
    shard: ShardText = None,
    resume: Resume = True,
    engine: cluster_options.EngineOption = cluster_options.Engine.local,
    ray_address: cluster_options.RayAddress = None,
    ray_workers: cluster_options.RayWorkers = None,
    gpus_per_worker: cluster_options.GpusPerWorker = None,
) -> None:
    """Encode pictures once: an image-text set into one file, or a benchmark into a folder with one file per unit.

    Interrupted, even by a power cut, the same command goes on. Pictures that cannot be read are left out and listed in
    FILE.errors.jsonl.
    """
    from motacli.cache import CacheOptions
    from motacli.cache.asking import Shard
    from motacli.models import BackboneChoice

    current = session(ctx)
    _refuse_mixtures(ctx)
    asked = CacheOptions(
        dtype="float16" if dtype is Stored.fp16 else "float32",
        layout=layout.value,
        strict=strict,
        append=append,
        shard=None if shard is None else Shard.parse(shard),
        decode=decode.value,
        autocast=autocast.value,
        compile=compile,
    )
    choice = BackboneChoice(model, pretrained, device, precision.value, preprocess.value)
    cluster = cluster_options.cluster_options(engine, ray_address, ray_workers, gpus_per_worker)
    how = How(batch_size=batch_size, workers=workers, progress=current.console, resume=resume, options=asked)
    if benchmark is not None and data_root is not None:
        from motacli.evaluating import build_unit_caches
        from motacli.runs import refuse_existing

        refuse_existing(out)
        units = current.host.component("benchmarks", benchmark).make().load(data_root, split, part or ())
        with _encoding(current, choice, cluster) as (backbone, who):
            caches = build_unit_caches(out, backbone, units, engine=who, **how)
    else:
        from motacli.cache import build_cache
        from motacli.datasets import open_any, open_source

        place = data if data is not None else source
        opened = (open_any if data is None else open_source)(place, image_column, caption_column, id_column="")  # type: ignore[arg-type]
        with _encoding(current, choice, cluster) as (backbone, who):
            caches = [build_cache(out, backbone, opened, engine=who, **how)]
    for made in caches:
        if made.skipped:
            current.console.warn(f"{made.skipped} pictures could not be read: {made.path}.errors.jsonl says why")
    current.console.table([_row(cache) for cache in caches])


@contextmanager
def _encoding(
    current: Session, choice: BackboneChoice, cluster: ClusterOptions | None
) -> Iterator[tuple[Backbone, Engine]]:
    """The backbone, and who encodes with it; where workers do, all that this process does with it is to name it."""
    from motacli.cache.encoder import in_this_process
    from motacli.models import load_backbone

    if cluster is None:
        yield load_backbone(current.host, choice), in_this_process
        return
    from motacli.cluster.caching import ray_engine
    from motacli.cluster.ray_cluster import BackboneMaker, HostChoice

    with ray_engine(BackboneMaker(choice, HostChoice.of(current.host)), cluster, current.console) as engine:
        yield load_backbone(current.host, replace(choice, device="cpu")), engine


class How(TypedDict):
    """The arguments that both builders share."""

    batch_size: int
    workers: int
    progress: Console
    resume: bool
    options: CacheOptions


def _refuse_mixtures(ctx: typer.Context) -> None:
    """Exactly one source, and no option that only the other one has."""
    given = {name for name, value in ctx.params.items() if value}
    if len(given & {"source", "data", "benchmark"}) != 1:
        raise UsageError("say what to encode", "either a SOURCE, or --data, or --benchmark with --data-root")
    if "benchmark" in given and "data_root" not in given:
        raise UsageError("where is the benchmark?", "give --data-root")
    if {"append", "shard"} <= given:
        raise UsageError("--shard does not go with --append", "append to the merged file")
    of_data, of_benchmark = ("image_column", "caption_column", "append", "shard"), ("data_root", "split", "part")
    wrong = [name for name in (of_data if "benchmark" in given else of_benchmark) if name in given]
    if wrong:
        other = next(name for name in ("benchmark", "data", "source") if name in given)
        said = "SOURCE" if other == "source" else f"--{other}"
        raise UsageError(f"--{wrong[0].replace('_', '-')} does not go with {said}")


def _row(cache: FeatureCache) -> dict[str, object]:
    return {
        "file": cache.path,
        "pictures": len(cache),
        "captions": len(cache) if cache.has_captions else 0,
        "skipped": cache.skipped,
        "dim": cache.joint_dim,
        "dtype": cache.header.dtype,
        "backbone": cache.backbone,
        "fingerprint": cache.fingerprint,
    }
