"""`mota eval`: a way to query, scored on a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.assignments import read_assignments
from motacli.commands import options
from motacli.commands.session import Session, chosen_options, session
from motacli.console import Console
from motacli.errors import UsageError

if TYPE_CHECKING:
    from motacli.eval_run import Outcome, Task

KEPT = 50


class QueryKind(StrEnum):
    """What a query is made of."""

    image = "image"
    text = "text"
    sum = "sum"
    composed = "composed"
    described = "described"


BenchmarkName = Annotated[str, typer.Argument(metavar="BENCHMARK", help="Benchmark, see `mota ls benchmarks`.")]
Query = Annotated[
    QueryKind | None,
    typer.Option("--query", help="What a query is made of. Default: composed, or described with --descriptions."),
]
Descriptions = Annotated[
    Path | None, typer.Option("--descriptions", metavar="FILE", help="JSON of query id to target description.")
]
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
Store = Annotated[
    Path | None, typer.Option("--cache", metavar="DIR", help="Keep image features in DIR, and find them there again.")
]
GalleryFeatures = Annotated[
    Path | None, typer.Option("--gallery-features", metavar="FILE", help="HDF5 of any model's gallery features.")
]
QueryFeatures = Annotated[
    Path | None, typer.Option("--query-features", metavar="FILE", help="HDF5 of any model's query features.")
]
Rankings = Annotated[Path | None, typer.Option("--rankings", metavar="FILE", help="JSON of ready rankings to score.")]
SubsetRankings = Annotated[
    Path | None, typer.Option("--subset-rankings", metavar="FILE", help="The same within CIRR's subsets.")
]
Protocol = Annotated[str, typer.Option("--protocol", help="searle, pic2word, or a TOML file in their form.")]
SharedConcept = Annotated[
    bool, typer.Option("--shared-concept", help="Say what reference and target share (CIRCO); not comparable.")
]
DropBroken = Annotated[bool, typer.Option("--drop-broken", help="Go on without broken pictures, and record them.")]
Submission = Annotated[
    Path | None, typer.Option("--submission", metavar="DIR", help="Write the test server's files to DIR.")
]
KeptRanks = Annotated[
    int | None, typer.Option("--top-k", min=1, help=f"Entries of each ranking that --out keeps. Default: {KEPT}.")
]
IndexStore = Annotated[
    str | None,
    typer.Option("--index-store", help="Rank by this index store, and say its recall; published numbers use none."),
]
StoreOption = Annotated[
    list[str] | None, typer.Option("--store-option", metavar="KEY=VALUE", help="The index store's option; repeatable.")
]
OptionalOut = Annotated[Path | None, typer.Option("--out", help="Folder for the record. Default: only print.")]

_SUPPLIED = ("gallery_features", "query_features", "rankings", "subset_rankings")
_OF_MODELS = (
    *("query", "descriptions", "fusion", "inversion", "inversion_weights", "adapter", "features", "store"),
    *("shared_concept", "drop_broken", "pretrained", "index_store", "store_option"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval")(evaluate)


def evaluate(
    ctx: typer.Context,
    benchmark: BenchmarkName,
    data_root: options.DataRoot,
    query: Query = None,
    descriptions: Descriptions = None,
    fusion: Fusion = None,
    inversion: InversionName = None,
    inversion_weights: InversionWeights = None,
    adapter: AdapterFolder = None,
    features: Features = None,
    store: Store = None,
    gallery_features: GalleryFeatures = None,
    query_features: QueryFeatures = None,
    rankings: Rankings = None,
    subset_rankings: SubsetRankings = None,
    split: options.Split = None,
    part: options.Parts = None,
    protocol: Protocol = "searle",
    shared_concept: SharedConcept = False,
    drop_broken: DropBroken = False,
    submission: Submission = None,
    top_k: KeptRanks = None,
    index_store: IndexStore = None,
    store_option: StoreOption = None,
    out: OptionalOut = None,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = 0,
) -> None:
    """Score queries on a benchmark: the picture or the text alone, their sum, an inversion network's composition,
    or what another model made: its features or its rankings."""
    from motacli.benchmarks.submission_format import submission_format
    from motacli.eval_run import Task, submit
    from motacli.results import summary, write_evaluation
    from motacli.runs import PROVENANCE, RunDir, provenance
    from motacli.search.stores import StoreChoice

    current = session(ctx)
    _refuse_mixtures(ctx)
    dataset = current.host.component("benchmarks", benchmark).make()
    kept = max((top_k or KEPT) if out is not None else 0, KEPT if submission is not None else 0)
    choice = None if index_store is None else StoreChoice(index_store, read_assignments(store_option or ()))
    if choice is not None:
        choice.parsed(current.host)  # a store or an option that is not known is refused before anything is encoded
    task = Task(dataset, data_root, dataset.protocol(protocol), split, part or (), kept, shared_concept, choice)
    if submission is not None:
        submission_format(dataset)  # a benchmark without a server is refused before anything is encoded
    with nullcontext() if out is None else RunDir.create(out) as run:
        outcome = _outcome(ctx, current, task)
        if run is not None:
            write_evaluation(run, dataset, outcome.evaluation, outcome.setup)
            run.write_config("eval", chosen_options(ctx))
            versions = current.versions()
            record = provenance(plugins=versions, device=outcome.device, digests=outcome.digests)
            run.write_json(PROVENANCE, record)
    if submission is not None:
        for path in submit(submission, dataset, outcome.evaluation):
            current.console.log(f"wrote {path}")
    _print(current.console, summary(dataset, outcome.evaluation, outcome.setup))


def _outcome(ctx: typer.Context, current: Session, task: Task) -> Outcome:
    """The evaluation by whichever way the options say."""
    from motacli.eval_run import Pictures, QueryChoice, evaluate_features, evaluate_models, evaluate_rankings

    given: dict[str, Any] = ctx.params
    if given["rankings"] is not None:
        return evaluate_rankings(task, given["rankings"], given["subset_rankings"])
    if given["gallery_features"] is not None:
        return evaluate_features(task, given["gallery_features"], given["query_features"])
    from motacli.models import BackboneChoice

    names = ("inversion", "inversion_weights", "adapter", "descriptions", "fusion")
    choice = BackboneChoice(
        *(given["model"], given["pretrained"], given["device"]), given["precision"].value, given["preprocess"].value
    )
    return evaluate_models(
        task,
        current.host,
        choice,
        QueryChoice(_kind(given).value, **{name: given[name] for name in names}),
        Pictures(given["features"], given["store"], given["drop_broken"], given["batch_size"], given["workers"]),
        current.console,
    )


def _kind(given: Mapping[str, Any]) -> QueryKind:
    if given["query"] is not None:
        return QueryKind(given["query"])
    return QueryKind.composed if given["descriptions"] is None else QueryKind.described


def _refuse_mixtures(ctx: typer.Context) -> None:
    """Options that would be without effect, or effects without their option."""
    given = {name for name, value in ctx.params.items() if value not in (None, False, [], ())}
    if given & set(_SUPPLIED):
        _refuse_supplied_mixtures(given)
    else:
        _refuse_query_mixtures(_kind(ctx.params), given)
    if {"submission", "drop_broken"} <= given:
        raise UsageError("--submission does not go with --drop-broken", "a server wants every query answered")
    if "store_option" in given and "index_store" not in given:
        raise UsageError("--store-option is for --index-store", "name the store")
    if "top_k" in given and "out" not in given:
        raise UsageError("--top-k has nowhere to put the rankings", "give --out")


def _refuse_supplied_mixtures(given: set[str]) -> None:
    for name, partner in (
        ("gallery_features", "query_features"),
        ("query_features", "gallery_features"),
        ("subset_rankings", "rankings"),
    ):
        if name in given and partner not in given:
            raise UsageError(f"{_flag(name)} needs {_flag(partner)}", "give both")
    if {"rankings", "gallery_features"} <= given:
        raise UsageError("--rankings does not go with --gallery-features", "score one of the two")
    others = _OF_MODELS if "rankings" not in given else (*_OF_MODELS, "submission", "top_k")
    for name in others:
        if name in given:
            supplied = next(option for option in _SUPPLIED if option in given)
            raise UsageError(f"{_flag(name)} does not go with {_flag(supplied)}", "leave one of the two out")


def _refuse_query_mixtures(kind: QueryKind, given: set[str]) -> None:
    composing = [name for name in ("inversion", "inversion_weights", "adapter") if name in given]
    if kind is QueryKind.composed and "inversion" not in given:
        raise UsageError(
            "composed queries need an inversion network", "give --inversion, or --query image, text or sum"
        )
    if kind is not QueryKind.composed and composing:
        hint = "leave it out, or ask for --query composed"
        raise UsageError(f"{_flag(composing[0])} does not go with --query {kind.value}", hint)
    if (kind is QueryKind.described) != ("descriptions" in given):
        raise UsageError("--query described and --descriptions go together", "give --descriptions FILE alone")
    if kind is QueryKind.image and "fusion" in given:
        raise UsageError("--fusion does not go with --query image", "the query is the reference already")
    if kind is not QueryKind.composed and "shared_concept" in given:
        raise UsageError("--shared-concept changes the prompt of composed queries", "leave it out")
    if {"features", "store"} <= given:
        raise UsageError("--features does not go with --cache", "both say where image features are")


def _flag(name: str) -> str:
    return "--cache" if name == "store" else f"--{name.replace('_', '-')}"


def _print(console: Console, result: Mapping[str, Any]) -> None:
    if console.json:
        console.data(result)
        return
    plain = {name: row for name, row in result["units"].items() if set(row["metrics"]) <= set(_scored(result))}
    rows = [{"unit": name, **_cells(row, result["headline"]), "n": row["n"]} for name, row in plain.items()]
    metrics = dict.fromkeys(name for row in plain.values() for name in row["metrics"])
    console.table(rows, columns=["unit", *metrics, "n"], title=result["query"])
    for name, row in result["units"].items():
        if name not in plain:
            console.log(f"{name}: " + ", ".join(f"{tag} {value:.2f}" for tag, value in row["metrics"].items()))
        for recall, value in row.get("index_store", {}).items():
            console.log(
                f"{name}: index store {result['index_store']['name']!r} has {recall} {value:.2f} of the exact ranking"
            )
        for metric, (low, high) in row.get("tie_range", {}).items():
            console.log(f"{name}: ties decide {metric}, {low:.2f} if all are lost, {high:.2f} if all are won")
    if not any(row["metrics"] for row in plain.values()):
        console.log("this split keeps its targets secret: rankings go to --out, a server's files to --submission")


def _scored(result: Mapping[str, Any]) -> list[str]:
    """The metrics of the units and their averages: those with a cut-off, unlike the tags of a breakdown."""
    return [name for row in result["units"].values() for name in row["metrics"] if "@" in name]


def _cells(row: Mapping[str, Any], headline: Mapping[str, float]) -> dict[str, Any]:
    """A unit's metrics, those of the headline with their interval."""
    intervals = row.get("ci", {})
    return {
        name: f"{value:.2f} [{intervals[name][0]:.1f}, {intervals[name][1]:.1f}]"
        if name in headline and name in intervals
        else value
        for name, value in row["metrics"].items()
    }
