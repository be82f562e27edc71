"""`mota eval`: a way to query, scored on a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.commands import options
from motacli.commands.session import chosen_options, session
from motacli.console import Console
from motacli.errors import UsageError
from motacli.plugins import PluginHost

if TYPE_CHECKING:
    from motacli.contracts import Backbone, Benchmark
    from motacli.evaluating import UnitData
    from motacli.query_sources import QuerySource


class QueryKind(StrEnum):
    """What a query is made of."""

    image = "image"
    text = "text"
    sum = "sum"
    composed = "composed"


BenchmarkName = Annotated[str, typer.Argument(metavar="BENCHMARK", help="Benchmark, see `mota ls benchmarks`.")]
Query = Annotated[QueryKind, typer.Option("--query", help="What a query is made of; composed needs --inversion.")]
Fusion = Annotated[
    float | None, typer.Option("--fusion", min=0.0, help="Add so much of the reference's image feature to the query.")
]
InversionName = Annotated[
    str | None, typer.Option("--inversion", help="Inversion: a name or a trained run's folder. For composed queries.")
]
InversionWeights = Annotated[Path | None, typer.Option("--inversion-weights", help="Weights of the inversion.")]
AdapterFolder = Annotated[
    Path | None, typer.Option("--adapter", help="Adapter: a trained run's folder. For composed queries.")
]
Features = Annotated[
    Path | None, typer.Option("--features", help="Folder that `mota cache --benchmark` wrote. Default: encode now.")
]
Parts = Annotated[list[str] | None, typer.Option("--part", help="Category or task; repeatable. Default: all.")]
Protocol = Annotated[str, typer.Option("--protocol", help="Prompt protocol: searle or pic2word.")]
KeptRanks = Annotated[int | None, typer.Option("--top-k", min=1, help="Also write so many entries of each ranking.")]
OptionalOut = Annotated[Path | None, typer.Option("--out", help="Folder for the record. Default: only print.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval")(evaluate)


def evaluate(
    ctx: typer.Context,
    benchmark: BenchmarkName,
    data_root: options.DataRoot,
    query: Query = QueryKind.composed,
    fusion: Fusion = None,
    inversion: InversionName = None,
    inversion_weights: InversionWeights = None,
    adapter: AdapterFolder = None,
    features: Features = None,
    split: options.Split = None,
    part: Parts = None,
    protocol: Protocol = "searle",
    top_k: KeptRanks = None,
    out: OptionalOut = None,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = 0,
) -> None:
    """Score queries on a benchmark: the picture or the text alone, their sum, or an inversion network's composition."""
    from motacli.evaluating import evaluate as score
    from motacli.evaluating import load_units, summary, write_evaluation
    from motacli.models import BackboneChoice, load_backbone
    from motacli.runs import PROVENANCE, RunDir, provenance

    current = session(ctx)
    _refuse_mixtures(ctx)
    with nullcontext() if out is None else RunDir.create(out) as run:
        dataset: Benchmark = current.host.component("benchmarks", benchmark).load()()
        choice = BackboneChoice(model, pretrained, device, precision.value, preprocess.value)
        backbone = load_backbone(current.host, choice)
        source = _source(ctx, current.host, backbone)
        units = load_units(
            dataset,
            data_root,
            backbone,
            split=split,
            parts=part or (),
            protocol=protocol,
            cache_dir=features,
            batch_size=batch_size,
            workers=workers,
            progress=current.console,
        )
        evaluation = score(dataset, units, source, keep_top=top_k or 0)
        if run is not None:
            write_evaluation(run, dataset, units, evaluation)
            run.write_config("eval", chosen_options(ctx))
            digests = _digests(source, backbone, units, adapter, features)
            record = provenance(plugins=current.versions(), device=str(backbone.device), digests=digests)
            run.write_json(PROVENANCE, record)
    _print(current.console, summary(dataset, units, evaluation))


def _refuse_mixtures(ctx: typer.Context) -> None:
    """Options that would be without effect, or effects without their option."""
    kind, given = ctx.params["query"], {name for name, value in ctx.params.items() if value is not None}
    composing = [name for name in ("inversion", "inversion_weights", "adapter") if name in given]
    if kind is QueryKind.composed and "inversion" not in given:
        raise UsageError(
            "composed queries need an inversion network", "give --inversion, or --query image, text or sum"
        )
    if kind is not QueryKind.composed and composing:
        option = f"--{composing[0].replace('_', '-')}"
        raise UsageError(f"{option} does not go with --query {kind.value}", "leave it out, or ask for --query composed")
    if kind is QueryKind.image and "fusion" in given:
        raise UsageError("--fusion does not go with --query image", "the query is the reference already")
    if "top_k" in given and "out" not in given:
        raise UsageError("--top-k has nowhere to put the rankings", "give --out")


def _source(ctx: typer.Context, host: PluginHost, backbone: Backbone) -> QuerySource:
    from motacli.query_sources import ImageOnly, LateFusion, Sum, TextOnly

    plain: dict[QueryKind, QuerySource] = {
        QueryKind.image: ImageOnly(),
        QueryKind.text: TextOnly(),
        QueryKind.sum: Sum(),
    }
    options, kind = ctx.params, ctx.params["query"]
    source = plain[kind] if kind in plain else _composed(options, host, backbone)
    return source if options["fusion"] is None else LateFusion(source, options["fusion"])


def _composed(options: Mapping[str, Any], host: PluginHost, backbone: Backbone) -> QuerySource:
    from motacli.adapters.files import load_adapter
    from motacli.models import load_inversion
    from motacli.query_sources import Composed

    inversion = load_inversion(host, options["inversion"], backbone, options["inversion_weights"])
    folder = options["adapter"]
    return Composed(inversion, None if folder is None else load_adapter(host, folder, backbone, inversion))


def _digests(
    source: QuerySource, backbone: Backbone, units: Sequence[UnitData], adapter: Path | None, features: Path | None
) -> dict[str, str]:
    """Digests of the weights and data behind a result."""
    from motacli.adapters.files import WEIGHTS, state_digest
    from motacli.evaluating import unit_cache, unit_digest
    from motacli.query_sources import Composed, LateFusion
    from motacli.runs import file_digest

    inner = source.source if isinstance(source, LateFusion) else source
    digests = {"backbone": backbone.fingerprint()}
    if isinstance(inner, Composed):
        digests["inversion"] = state_digest(inner.inversion) or ""
    if adapter is not None:
        digests["adapter"] = file_digest(adapter / WEIGHTS)
    for data in units:
        digests[data.unit.name] = unit_digest(data.unit)
        if features is not None:
            digests[f"features of {data.unit.name}"] = file_digest(unit_cache(features, data.unit))
    return digests


def _print(console: Console, result: Mapping[str, Any]) -> None:
    if console.json:
        console.data(result)
        return
    units = result["units"].items()
    console.table([{"unit": name, **row["metrics"], "n": row["n"]} for name, row in units], title=result["query"])
    if not any(row["metrics"] for _, row in units):
        console.log("this split keeps its targets secret: only rankings can be written, with --top-k and --out")
