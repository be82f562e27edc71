"""`mota ablate`: what each part of the method is worth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.assignments import read_assignments
from motacli.commands import options
from motacli.commands.session import Session, session
from motacli.errors import UsageError

if TYPE_CHECKING:
    from motacli.ablation import Ablation, Grid
    from motacli.ablation.data import DataSource

Preset = Annotated[
    list[str] | None,
    typer.Option(
        "--preset",
        help="components, mdm, entropy, experts, depth, rivals, domains or noise; repeatable. Default: components.",
    ),
]
GridFile = Annotated[list[Path] | None, typer.Option("--grid", metavar="FILE", help="Variants in a TOML file.")]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="KEY=V1,V2",
        help="Values of an adapter's option, of train.OPTION, or of corrupt; repeatable: every combination.",
    ),
]
AdapterType = Annotated[str, typer.Option("--adapter-type", help="The adapter of --vary, see `mota ls adapters`.")]
More = Annotated[
    list[str] | None,
    typer.Option("--train-option", metavar="KEY=VALUE", help="A training option of all variants, as steps=500."),
]
Inversions = Annotated[
    list[str] | None,
    typer.Option("--inversion", help="Inversion: a name or a trained run's folder; repeatable. Default: all three."),
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--inversion-weights", metavar="NAME=FILE", help="Weights of an inversion; repeatable."),
]
Seeds = Annotated[str, typer.Option("--seeds", help="Seeds of the trainings, separated by commas.")]
WorldSeed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the tiny world.")]
Split = Annotated[
    str | None, typer.Option("--split", help="Split: of the tiny world test or val, else the benchmarks' own.")
]
_OWN = "Own data, in place of the tiny world"
Triplets = Annotated[
    list[Path] | None,
    typer.Option("--triplets", help="Triplets that `mota gen-triplets` wrote; repeatable.", rich_help_panel=_OWN),
]
Features = Annotated[
    list[Path] | None,
    typer.Option("--features", help="Image features that `mota cache` wrote; repeatable.", rich_help_panel=_OWN),
]
Benchmarks = Annotated[
    list[str] | None,
    typer.Option("--benchmark", help="Benchmark; repeatable. Of the tiny world: some of its four."),
]
Roots = Annotated[
    list[Path] | None,
    typer.Option("--data-root", help="Folder of the benchmark, one for each in turn.", rich_help_panel=_OWN),
]
BenchmarkFeatures = Annotated[
    list[Path] | None,
    typer.Option(
        "--benchmark-features",
        help="Folder that `mota cache --benchmark` wrote, one for each in turn.",
        rich_help_panel=_OWN,
    ),
]
Folder = Annotated[Path, typer.Option("--out", help="Folder of all jobs; an unfinished ablation is gone on with.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the jobs, done and to do, and do nothing.")]
SaveEvery = Annotated[int, typer.Option("--save-every", min=1, help="Steps between two states to go on from.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ablate")(ablate)


def ablate(
    ctx: typer.Context,
    preset: Preset = None,
    grid: GridFile = None,
    vary: Vary = None,
    adapter_type: AdapterType = "mota",
    train_option: More = None,
    inversion: Inversions = None,
    inversion_weights: Weights = None,
    seeds: Seeds = "0,1,2",
    out: Folder = Path("ablation"),
    seed: WorldSeed = 0,
    split: Split = None,
    benchmark: Benchmarks = None,
    triplets: Triplets = None,
    features: Features = None,
    data_root: Roots = None,
    benchmark_features: BenchmarkFeatures = None,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    save_every: SaveEvery = 50,
    workers: options.TrainingWorkers = 1,
    dry_run: DryRun = False,
) -> None:
    """Train and score variants of the method, several seeds each, and say what every part of it is worth.

    On the tiny world, or on your own triplets and benchmarks. Killed, the same command goes on; started twice, the two
    share the work.
    """
    from motacli.ablation import list_jobs, run_ablation
    from motacli.ablation.tables import legend, make_tables
    from motacli.coworkers import as_many_as_pay

    current = session(ctx)
    ablation = _ablation(ctx, current)
    if dry_run:
        current.console.table(list_jobs(current.host, out, ablation))
        return
    workers = workers or as_many_as_pay()
    rows = run_ablation(current.host, out, ablation, current.console, current.versions(), workers)
    if current.console.json:
        current.console.data(rows)
        return
    for table in make_tables(rows, ablation.grid):
        current.console.table(table.records())
        current.console.data("")
    current.console.log(legend(ablation.grid, rows))
    current.console.log(f"tables and figures: {out / ablation.grid.name}")


def _ablation(ctx: typer.Context, current: Session) -> Ablation:
    """What the options ask for."""
    from motacli.ablation import Ablation
    from motacli.ablation.run import INVERSIONS
    from motacli.models import BackboneChoice

    given: dict[str, Any] = ctx.params
    names = tuple(given["inversion"] or INVERSIONS)
    words = (given["precision"].value, given["preprocess"].value)
    return Ablation(
        grid=_grid(current, given),
        source=_source(given),
        inversions=names,
        weights=_weights(given["inversion_weights"] or (), names),
        seeds=_seeds(given["seeds"]),
        choice=BackboneChoice(given["model"], given["pretrained"], given["device"], *words),
        save_every=given["save_every"],
    )


def _grid(current: Session, given: dict[str, Any]) -> Grid:
    """The union of all presets, files and sweeps that are asked for."""
    from motacli.ablation import make_grid, read_grid, read_preset, union, vary_spec

    train = read_assignments(given["train_option"] or ())
    presets = given["preset"] or ([] if given["grid"] or given["vary"] else ["components"])
    specs = [read_preset(name) for name in dict.fromkeys(presets)] + [read_grid(path) for path in given["grid"] or ()]
    if given["vary"]:
        specs.append(vary_spec(given["vary"], given["adapter_type"]))
    elif given["adapter_type"] != "mota":
        raise UsageError("--adapter-type is that of --vary", "a grid's file says which adapters it compares")
    return union([make_grid(current.host, spec, train) for spec in specs])


def _source(given: dict[str, Any]) -> DataSource:
    """The tiny world, unless files are named."""
    from motacli.ablation import OwnBenchmark, OwnData, TinyWorld

    files = {name: given[name] or [] for name in ("triplets", "features", "data_root", "benchmark_features")}
    names = given["benchmark"] or []
    if not any(files.values()):
        chosen = {"benchmarks": tuple(names)} if names else {}
        return TinyWorld(given["seed"], given["split"] or "test", **chosen)
    for name in ("triplets", "features", "benchmark"):
        if not given[name]:
            raise UsageError(f"--{name} is missing", "own data needs --triplets, --features and --benchmark")
    if given["seed"]:
        raise UsageError("--seed draws the tiny world, which own data replaces", "leave it out; --seeds are others")
    pairs = list(zip_longest(names, files["data_root"], files["benchmark_features"]))
    if any(None in pair for pair in pairs):
        raise UsageError(
            f"{len(names)} --benchmark, {len(files['data_root'])} --data-root and "
            f"{len(files['benchmark_features'])} --benchmark-features",
            "give one of each for every benchmark, in the same order",
        )
    benchmarks = tuple(OwnBenchmark(*pair) for pair in pairs)
    return OwnData(tuple(files["triplets"]), tuple(files["features"]), benchmarks, given["split"])


def _weights(texts: Sequence[str], inversions: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if (not equals or name not in inversions) and len(inversions) == 1:
            name, path = inversions[0], text
        if not path or name in found:
            raise UsageError(f"--inversion-weights {text!r} is unclear", "as in --inversion-weights lincir=FILE")
        found[name] = path
    return found


def _seeds(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--seeds {text!r} is no list of numbers", "as in --seeds 0,1,2") from error
    if min(found) < 0:
        raise UsageError(f"--seeds {text!r} holds a negative number", "as in --seeds 0,1,2")
    return found
