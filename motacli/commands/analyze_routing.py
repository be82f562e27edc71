"""`mota analyze routing`: which expert answers what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motacli.commands import analyze_parts as parts_of
from motacli.commands import options
from motacli.commands.session import session
from motacli.errors import UsageError
from motacli.remote.urls import path_of

if TYPE_CHECKING:
    from motacli.analysis.feature_sets import Parts
    from motacli.analysis.routed_queries import RoutedQueries

Benchmark = Annotated[
    str | None, typer.Argument(metavar="[BENCHMARK]", help="Benchmark, see `mota ls benchmarks`; or give --triplets.")
]
Features = Annotated[
    Path | None,
    typer.Option("--features", help="Features: with --triplets the data's file, else the benchmark's folder."),
]
DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Folder that holds the benchmark.")]
Images = Annotated[
    Path | None,
    typer.Option("--images", metavar="PATH", parser=path_of, help="The triplets' pictures: a folder or data set."),
]
Paraphrases = Annotated[
    Path | None,
    typer.Option("--paraphrases", metavar="FILE", help="JSONL of {id, captions: [...]}. Default: by templates."),
]
Protocol = Annotated[str, typer.Option("--protocol", help="The benchmark's prompts: searle, pic2word or a TOML file.")]


def routing(
    ctx: typer.Context,
    inversion: options.InversionName,
    adapter: parts_of.Adapter,
    benchmark: Benchmark = None,
    triplets: parts_of.Triplets = None,
    features: Features = None,
    images: Images = None,
    data_root: DataRoot = None,
    split: options.Split = None,
    part: options.Parts = None,
    protocol: Protocol = "searle",
    paraphrases: Paraphrases = None,
    sample: parts_of.Sample = 2000,
    seed: options.Seed = 0,
    out: parts_of.Out = None,
    plots: parts_of.Plots = None,
    inversion_weights: parts_of.InversionWeights = None,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    batch_size: options.BatchSize = 256,
) -> None:
    """Which expert answers what: gates by type of modification, load, steadiness, and queries to look at."""
    from motacli.analysis.adapter_run import SEEN, was_trained_on
    from motacli.analysis.gates import require_router
    from motacli.analysis.paraphrases import read_paraphrases
    from motacli.analysis.routing_analysis import analyse_routing
    from motacli.analysis.routing_page import render_routing_page, routing_of
    from motacli.analysis.routing_tables import routing_tables, verdicts

    current = session(ctx)
    _refuse_mixtures(ctx)
    parts_of.refuse_early(out, plots)
    worded = None if paraphrases is None else read_paraphrases(paraphrases)
    parts = parts_of.load_parts(ctx)
    require_router(parts)
    routed = _of_triplets(ctx, parts) if triplets is not None else _of_benchmark(ctx, parts)
    found = analyse_routing(parts, routed, worded, seed=seed, batch_size=batch_size)
    files = {"triplets": triplets, "features": features if triplets is not None else None, "paraphrases": paraphrases}
    digests = parts_of.digests_of(parts, adapter, files) | routed.digests
    about = {**parts_of.about_parts(parts, adapter), "queries of": str(triplets or benchmark)}
    if triplets is not None and was_trained_on(adapter, digests["triplets"]):
        about["triplets seen"] = SEEN
        current.console.warn(SEEN)
    parts_of.write_out(
        ctx,
        "routing",
        found,
        lambda made: render_routing_page(found, routed.pictures, about, made),
        digests,
        (),
        routing_of(found),
    )
    parts_of.print_found(current, found, routing_tables(found))
    for verdict in verdicts(found):
        current.console.log(verdict)


def _of_triplets(ctx: typer.Context, parts: Parts) -> RoutedQueries:
    from motacli.analysis.routed_queries import queries_of_triplets
    from motacli.cache import FeatureCache

    given = ctx.params
    cache = FeatureCache(given["features"])
    cache.require(parts.backbone)
    return queries_of_triplets(
        given["triplets"],
        cache,
        parts.template,
        sample=given["sample"],
        seed=given["seed"],
        images=given["images"],
        progress=session(ctx).console,
    )


def _of_benchmark(ctx: typer.Context, parts: Parts) -> RoutedQueries:
    from motacli.analysis.routed_queries import queries_of_units
    from motacli.evaluating import encode_units, select_units

    given, current = ctx.params, session(ctx)
    dataset = current.host.component("benchmarks", given["benchmark"]).make()
    rules = dataset.protocol(given["protocol"])
    units = select_units(dataset, given["data_root"], rules, given["split"], given["part"] or ())
    data = encode_units(
        units,
        parts.backbone,
        rules,
        cache_dir=given["features"],
        batch_size=given["batch_size"],
        progress=current.console,
    )
    name = getattr(dataset, "tags_name", "tag")
    return queries_of_units(data, rules, name, sample=given["sample"], seed=given["seed"])


def _refuse_mixtures(ctx: typer.Context) -> None:
    """Queries come from one place."""
    given = {name for name, value in ctx.params.items() if value not in (None, [], ())}
    if ("triplets" in given) == ("benchmark" in given):
        raise UsageError("the queries are those of a benchmark or of --triplets", "give one of the two")
    of, needed, others = (
        ("--triplets", ("features",), ("data_root", "split", "part"))
        if "triplets" in given
        else ("a benchmark", ("data_root",), ("images",))
    )
    for name in needed:
        if name not in given:
            raise UsageError(f"{of} needs {_flag(name)}", "say where they are")
    for name in others:
        if name in given:
            raise UsageError(f"{_flag(name)} does not go with {of}", "leave it out")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
