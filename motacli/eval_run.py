"""One evaluation from start to end, by whatever makes the queries: models, somebody's features, or ready rankings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motacli.benchmarks.protocol import EvalProtocol
from motacli.console import NullProgress, Progress
from motacli.contracts import Benchmark, EvalUnit
from motacli.errors import UsageError
from motacli.results import Evaluation, Setup, Weights, make_evaluation, unit_digest
from motacli.runs import file_digest
from motacli.search.stores import StoreChoice

if TYPE_CHECKING:
    from motacli.contracts import Backbone
    from motacli.models import BackboneChoice
    from motacli.plugins import PluginHost
    from motacli.query_sources import QuerySource


@dataclass(frozen=True)
class Task:
    """What is asked: a benchmark below ``root``, under a protocol.

    ``keep_top`` entries of each ranking are kept. ``shared_concept`` puts what reference and target share into the
    prompts, for benchmarks that say it. ``index_store`` ranks in place of the exact comparison with all of a gallery.
    """

    benchmark: Benchmark
    root: Path
    protocol: EvalProtocol
    split: str | None = None
    parts: Sequence[str] = ()
    keep_top: int = 0
    shared_concept: bool = False
    index_store: StoreChoice | None = None


@dataclass(frozen=True)
class QueryChoice:
    """What a query is made of: ``kind`` is image, text, sum, composed or described; the rest belongs to some kinds."""

    kind: str
    inversion: str | None = None
    inversion_weights: Path | str | None = None
    adapter: Path | None = None
    descriptions: Path | None = None
    fusion: float | None = None


@dataclass(frozen=True)
class Pictures:
    """Where image features come from, see `motacli.evaluating.encode_units`, and what happens to broken pictures."""

    cache_dir: Path | None = None
    store: Path | None = None
    drop_broken: bool = False
    batch_size: int = 64
    workers: int = 0


@dataclass(frozen=True)
class Outcome:
    """An evaluation, how it was made, and digests of all that went in, for ``provenance.json``."""

    evaluation: Evaluation
    setup: Setup
    digests: Mapping[str, str] = field(default_factory=dict)
    device: str = ""


def evaluate_features(task: Task, gallery: Path, queries: Path) -> Outcome:
    """Score features that another model made; see `motacli.supplied.features` for the files."""
    from motacli.supplied.features import load_supplied, score_features

    units = _ruled(task, load_supplied(task.benchmark, task.root, gallery, task.split, task.parts))
    results = score_features(units, gallery, queries, task.keep_top)
    evaluation = make_evaluation(task.benchmark, "supplied features", units, results)
    files = {"gallery features": gallery, "query features": queries}
    return _of_files(task, evaluation, files)


def evaluate_rankings(task: Task, rankings: Path, subset_rankings: Path | None = None) -> Outcome:
    """Score ready rankings; see `motacli.supplied.rankings` for the files."""
    from motacli.supplied.rankings import load_ranked, score_rankings

    units = _ruled(task, load_ranked(task.benchmark, task.root, task.split, task.parts))
    results = score_rankings(units, rankings, subset_rankings)
    evaluation = make_evaluation(task.benchmark, "supplied rankings", units, results)
    files = {"rankings": rankings, "subset rankings": subset_rankings}
    return _of_files(task, evaluation, {what: form for what, form in files.items() if form is not None})


def evaluate_models(
    task: Task,
    host: PluginHost,
    choice: BackboneChoice,
    query: QueryChoice,
    pictures: Pictures,
    progress: Progress | None = None,
) -> Outcome:
    """Encode the benchmark with a backbone and score one way to query it."""
    from motacli.evaluating import encode_units, evaluate, select_units
    from motacli.models import load_backbone
    from motacli.search.galleries import Galleries

    progress = progress or NullProgress()
    units = select_units(task.benchmark, task.root, task.protocol, task.split, task.parts)
    protocol = _protocol(task, units)
    _refuse_own_galleries(task, units)
    galleries = None if task.index_store is None else Galleries(task.index_store, host, progress)
    backbone = load_backbone(host, choice)
    source = _source(query, host, backbone, units)
    units, dropped = _without_broken(units, pictures, progress)
    data = encode_units(
        units,
        backbone,
        protocol,
        cache_dir=pictures.cache_dir,
        store=pictures.store,
        batch_size=pictures.batch_size,
        workers=pictures.workers,
        progress=progress,
    )
    evaluation = evaluate(task.benchmark, data, source, task.keep_top, galleries=galleries)
    weights = _weights(source, backbone, query)
    setup = Setup(protocol, choice.preprocess, weights, dropped, task.index_store)
    digests = {**_digests(setup, evaluation), **_feature_digests(units, pictures)}
    return Outcome(evaluation, setup, digests, str(backbone.device))


def submit(folder: Path, benchmark: Benchmark, evaluation: Evaluation) -> list[Path]:
    """Write the files that the benchmark's test server takes; rankings have to be kept. `UsageError` where it has none.

    See `motacli.benchmarks.submission.write_submissions`.
    """
    from motacli.benchmarks.submission import write_submissions
    from motacli.benchmarks.submission_format import submission_format

    form = submission_format(benchmark)
    pairs = zip(evaluation.units, evaluation.results, strict=True)
    written = (write_submissions(folder, form, unit, result.top, result.subset_top) for unit, result in pairs)
    return [path for paths in written for path in paths]


def _of_files(task: Task, evaluation: Evaluation, files: Mapping[str, Path]) -> Outcome:
    """What came of files that take the place of models; ``files`` may hold ``{unit}``."""
    from motacli.supplied.files import unit_paths

    weights: dict[str, Weights] = {}
    for what, form in files.items():
        paths = list(unit_paths(form, evaluation.units))
        for path in paths:
            weights[what if len(paths) == 1 else f"{what} {path.name}"] = Weights(path.name, file_digest(path))
    setup = Setup(task.protocol, weights=weights)
    return Outcome(evaluation, setup, _digests(setup, evaluation))


def _ruled(task: Task, units: Sequence[EvalUnit]) -> list[EvalUnit]:
    return [task.protocol.apply(unit) for unit in units]


def _protocol(task: Task, units: Sequence[EvalUnit]) -> EvalProtocol:
    if not task.shared_concept:
        return task.protocol
    if not any(query.concept for unit in units for query in unit.queries):
        raise UsageError(f"the queries of {task.benchmark.name} name no shared concept", "leave --shared-concept out")
    return task.protocol.with_concept()


def _refuse_own_galleries(task: Task, units: Sequence[EvalUnit]) -> None:
    """Before anything is encoded."""
    if task.index_store is not None and any(query.candidates for unit in units for query in unit.queries):
        raise UsageError(f"each query of {task.benchmark.name} ranks a gallery of its own", "leave --index-store out")


def _source(query: QueryChoice, host: PluginHost, backbone: Backbone, units: Sequence[EvalUnit]) -> QuerySource:
    from motacli.query_sources import Described, ImageOnly, LateFusion, Sum, TextOnly
    from motacli.supplied.descriptions import read_descriptions

    plain: dict[str, type[Any]] = {"image": ImageOnly, "text": TextOnly, "sum": Sum}
    source: QuerySource
    if query.kind in plain:
        source = plain[query.kind]()
    elif query.descriptions is not None:
        source = Described(read_descriptions(query.descriptions, units))
    else:
        source = _composed(query, host, backbone)
    return source if query.fusion is None else LateFusion(source, query.fusion)


def _composed(query: QueryChoice, host: PluginHost, backbone: Backbone) -> QuerySource:
    from motacli.adapters.files import load_adapter
    from motacli.models import load_inversion
    from motacli.query_sources import Composed

    if query.inversion is None:
        raise UsageError("composed queries need an inversion network", "name one")
    inversion = load_inversion(host, query.inversion, backbone, query.inversion_weights)
    adapter = None if query.adapter is None else load_adapter(host, query.adapter, backbone, inversion)
    return Composed(inversion, adapter)


def _without_broken(
    units: Sequence[EvalUnit], pictures: Pictures, progress: Progress
) -> tuple[list[EvalUnit], dict[str, Any]]:
    """The units without what cannot be read, and what that was; all of them unless that was asked for."""
    if not pictures.drop_broken:
        return list(units), {}
    from motacli.benchmarks.integrity import drop_broken, find_broken

    kept, dropped = [], {}
    for unit, broken in zip(units, find_broken(units, pictures.workers, progress), strict=True):
        whole, report = drop_broken(unit, broken)
        kept.append(whole)
        if broken:
            dropped[unit.name] = report
            progress.warn(f"{unit.name}: {len(broken)} broken pictures dropped, {len(whole.queries)} queries are left")
    return kept, dropped


def _weights(source: QuerySource, backbone: Backbone, query: QueryChoice) -> dict[str, Weights]:
    """The weights behind a result."""
    from motacli.adapters.files import WEIGHTS, state_digest
    from motacli.query_sources import Composed, LateFusion

    inner = source.source if isinstance(source, LateFusion) else source
    weights = {"backbone": Weights(backbone.name, backbone.fingerprint())}
    if isinstance(inner, Composed):
        weights["inversion"] = Weights(inner.inversion.name, state_digest(inner.inversion) or "")
    if query.adapter is not None:
        weights["adapter"] = Weights(query.adapter.name, file_digest(query.adapter / WEIGHTS))
    if query.descriptions is not None:
        weights["descriptions"] = Weights(query.descriptions.name, file_digest(query.descriptions))
    return weights


def _digests(setup: Setup, evaluation: Evaluation) -> dict[str, str]:
    weights = {part: weights.digest for part, weights in setup.weights.items()}
    return {**weights, **{unit.name: unit_digest(unit) for unit in evaluation.units}}


def _feature_digests(units: Sequence[EvalUnit], pictures: Pictures) -> dict[str, str]:
    from motacli.evaluating import unit_cache

    folder = pictures.cache_dir
    if folder is None:
        return {}
    return {f"features of {unit.name}": file_digest(unit_cache(folder, unit)) for unit in units}
