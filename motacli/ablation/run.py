"""The whole of it: data, jobs, rows, tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from motacli.ablation.data import AblationData, DataSource, TinyWorld
from motacli.ablation.grid import Grid
from motacli.ablation.jobs import Job, JobFolder, plan
from motacli.ablation.output import write_output
from motacli.ablation.rows import Row, make_rows
from motacli.ablation.training import Model, Worker
from motacli.ablation.triplet_sets import TripletSets
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.coworkers import helped
from motacli.errors import MotaError, UnknownNameError, UsageError
from motacli.models import BackboneChoice, load_backbone, load_inversion
from motacli.plugins import PluginHost, load_plugins
from motacli.runs import explained, write_json
from motacli.working import work_off

STAMP = "ablation.json"
FORMAT = 1
INVERSIONS = ("pic2word", "searle", "lincir")


@dataclass(frozen=True)
class Ablation:
    """What is compared, and on what.

    ``inversions`` are names or folders of trained runs, ``weights`` files for those that need them. ``save_every`` is
    how many steps a kill can cost; nothing depends on it.
    """

    grid: Grid
    source: DataSource = field(default_factory=TinyWorld)
    inversions: tuple[str, ...] = INVERSIONS
    weights: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    choice: BackboneChoice = field(default_factory=BackboneChoice)
    save_every: int = 50

    def __post_init__(self) -> None:
        for what, values in (("inversion", self.inversions), ("seed", self.seeds)):
            if not values:
                raise UsageError(f"no {what} is named", "name at least one")
            if len(set(values)) < len(values):
                raise UsageError(f"a {what} is named twice", "name each once")
        for name in self.weights:
            if name not in self.inversions:
                raise UnknownNameError("inversion to have weights", name, self.inversions)


def run_ablation(
    host: PluginHost,
    out: Path,
    ablation: Ablation,
    progress: Progress | None = None,
    plugins: Mapping[str, str] | None = None,
    workers: int = 1,
) -> list[Row]:
    """Do all jobs below ``out`` that are not done yet, write tables and figures, and return the rows.

    Several processes may do this at once; ``workers`` starts them, all but the first with the installed plugins
    (`motacli.coworkers`). Raises `MotaError` where ``out`` holds something else, `UsageError` for options that the
    backbone or an adapter refuses, before anything is trained, and whatever the trainings raise.
    """
    progress = progress or NullProgress()
    model = _load(host, ablation)
    _refuse_broken_variants(host, ablation.grid, model.backbone)
    _take(out)
    ablation.source.prepare(host, out, model.backbone, progress)
    data = ablation.source.load(host, out, model.backbone)
    jobs, sets = _plan(ablation, out, model, data)
    folder = JobFolder(out)
    worker = Worker(host, model, data, sets, folder, progress, plugins or {}, ablation.save_every)
    with helped(workers, _help, out, ablation, dict(plugins or {})):
        work_off(jobs, folder, worker.do, progress)
    results = {(job.inversion, job.row, job.seed): folder.result(job) for job in jobs}
    rows = make_rows(ablation.grid, list(model.inversions), ablation.seeds, data.headlines, results)
    write_output(out / ablation.grid.name, rows, ablation.grid, progress)
    return rows


def _help(out: Path, ablation: Ablation, plugins: Mapping[str, str]) -> None:
    """What another process does: all of it but the tables."""
    host, folder, silent = load_plugins(), JobFolder(out), NullProgress()
    model = _load(host, ablation)
    data = ablation.source.load(host, out, model.backbone)
    jobs, sets = _plan(ablation, out, model, data)
    worker = Worker(host, model, data, sets, folder, silent, plugins, ablation.save_every)
    work_off(jobs, folder, worker.do, silent)


def list_jobs(host: PluginHost, out: Path, ablation: Ablation) -> list[dict[str, Any]]:
    """Every job and whether it is done; nothing is made, and where data has yet to be made jobs have no names."""
    model = _load(host, ablation)
    _refuse_broken_variants(host, ablation.grid, model.backbone)
    if ablation.source.ready(out):
        jobs, _ = _plan(ablation, out, model, ablation.source.load(host, out, model.backbone))
        return list(JobFolder(out).states(jobs))
    seeds = [("base", None), *((v.name, seed) for v in ablation.grid.variants for seed in ablation.seeds)]
    return [
        {"inversion": label, "variant": name, "seed": seed, "state": "to do", "job": None}
        for label in model.inversions
        for name, seed in seeds
    ]


def _load(host: PluginHost, ablation: Ablation) -> Model:
    backbone = load_backbone(host, ablation.choice)
    loaded = {name: load_inversion(host, name, backbone, ablation.weights.get(name)) for name in ablation.inversions}
    labels = {name: name if name == network.name else Path(name).name for name, network in loaded.items()}
    if len(set(labels.values())) < len(labels):
        labels = {name: name for name in loaded}
    return Model(
        backbone,
        ablation.choice,
        {labels[name]: network for name, network in loaded.items()},
        {labels[name]: name for name in loaded},
        {labels[name]: weights for name, weights in ablation.weights.items()},
    )


def _refuse_broken_variants(host: PluginHost, grid: Grid, backbone: Backbone) -> None:
    """Build each adapter once, which says what is wrong with its options on this backbone."""
    seen = set()
    for variant in grid.variants:
        key = json.dumps([variant.adapter, asdict(variant.options)], sort_keys=True)
        if key in seen:
            continue
        seen.add(key)
        build: Any = host.component("adapters", variant.adapter).load()
        try:
            build(backbone, variant.options)
        except MotaError as error:
            raise UsageError(f"{grid.name}, {variant.name!r}: {error.message}", error.hint) from error


def _plan(ablation: Ablation, out: Path, model: Model, data: AblationData) -> tuple[list[Job], TripletSets]:
    sets = TripletSets(data.triplets, data.triplet_digests, out / "triplets")
    return plan(ablation.grid, ablation.seeds, model.inversions, model.backbone, data, sets), sets


def _take(out: Path) -> None:
    """Make the folder, or go on with it; `MotaError` where it holds something else."""
    stamp = out / STAMP
    with explained(out):
        if not stamp.exists():
            others = not out.is_dir() or any(not path.name.startswith(".") for path in out.iterdir())
            if out.exists() and others and not stamp.exists():
                raise MotaError(f"{out} exists already and holds no ablation", "choose another --out or move it away")
            out.mkdir(parents=True, exist_ok=True)
            write_json(stamp, {"format": FORMAT})
