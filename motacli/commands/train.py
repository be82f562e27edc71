"""`mota train`: an adapter for a frozen backbone and inversion network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motacli.adapters.options import TrainOptions
from motacli.assignments import read_assignments
from motacli.commands import options, watching
from motacli.commands.session import chosen_options, session
from motacli.errors import UsageError

if TYPE_CHECKING:
    from motacli.adapters.frozen_store import FrozenStore
    from motacli.processes.world import World

_DEFAULTS = TrainOptions()

Triplets = Annotated[
    list[Path], typer.Option("--triplets", help="Triplets that `mota gen-triplets` wrote; repeatable, one per domain.")
]
Features = Annotated[list[Path], typer.Option("--features", help="Image features that `mota cache` wrote; repeatable.")]
Mix = Annotated[
    str | None, typer.Option("--mix", help="Each triplets file's share of every batch, as 0.7,0.3. Default: pooled.")
]
Cache = Annotated[
    Path | None, typer.Option("--cache", help="Folder that keeps what is frozen, for trainings on the same data.")
]
AdapterType = Annotated[str, typer.Option("--adapter-type", help="Adapter, see `mota ls adapters`.")]
InversionWeights = Annotated[Path | None, typer.Option("--inversion-weights", help="Weights of the inversion.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help=f"Steps of training (ours: {_DEFAULTS.steps}).")]
Lr = Annotated[float | None, typer.Option("--lr", min=0.0, help=f"Peak learning rate (ours: {_DEFAULTS.lr}).")]
Wd = Annotated[float | None, typer.Option("--wd", min=0.0, help=f"Weight decay (ours: {_DEFAULTS.wd}).")]
Rows = Annotated[
    int | None, typer.Option("--batch-size", min=2, help=f"Triplets per step (ours: {_DEFAULTS.batch_size}).")
]
WarmUp = Annotated[
    int | None, typer.Option("--warmup", min=0, help=f"Steps of linear warm-up (ours: {_DEFAULTS.warmup}).")
]
Beta = Annotated[
    float | None,
    typer.Option(
        "--beta",
        help=f"How sharply the base model's doubt weighs (the paper's; the value {_DEFAULTS.beta} is ours).",
    ),
]
HeldOut = Annotated[
    float | None,
    typer.Option(
        "--held-out",
        min=0.0,
        help=f"Share of pictures whose triplets are only validated on (ours: {_DEFAULTS.held_out}).",
    ),
]
Track = Annotated[list[str] | None, typer.Option("--track", help="Where curves go: tensorboard or wandb; repeatable.")]
TrainSeed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")]
Shape = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="The adapter's shape, see `mota ls options mota`; repeatable."),
]
More = Annotated[
    list[str] | None,
    typer.Option(
        "--train-option", metavar="KEY=VALUE", help="Training option, see `mota ls options train`; repeatable."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    ctx: typer.Context,
    inversion: options.InversionName,
    triplets: Triplets,
    features: Features,
    out: options.Out,
    mix: Mix = None,
    cache: Cache = None,
    adapter_type: AdapterType = "mota",
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    inversion_weights: InversionWeights = None,
    steps: Steps = None,
    lr: Lr = None,
    wd: Wd = None,
    batch_size: Rows = None,
    warmup: WarmUp = None,
    beta: Beta = None,
    held_out: HeldOut = None,
    seed: TrainSeed = None,
    option: Shape = None,
    train_option: More = None,
    validate: watching.Validate = None,
    data_root: watching.Root = None,
    split: watching.ValidateSplit = None,
    validate_every: watching.ValidateEvery = 50,
    keep_best: watching.KeepBest = None,
    patience: watching.Patience = 0,
    track: Track = None,
    save_every: options.SaveEvery = 200,
    resume: options.Resume = False,
) -> None:
    """Train an adapter on triplets and cached image features; backbone and inversion network stay frozen.

    Killed, it goes on by --resume and ends with the same weights. `torchrun --nproc-per-node N -m motacli train ...`
    shares every batch among N processes, and with --max-restarts goes on by itself when one of them is killed."""
    from motacli.adapters.domains import Mixture
    from motacli.adapters.record import settled_options, write_run
    from motacli.adapters.run import train_run
    from motacli.commands.processes import together
    from motacli.config import parse_options
    from motacli.models import BackboneChoice, load_backbone, load_inversion
    from motacli.processes.world import own_device
    from motacli.query_sources import Composed
    from motacli.runs import WORK
    from motacli.trackers import open_trackers, require_trackers
    from motacli.training_state import saved_step
    from motacli.triplets.schema import read_triplets

    current = session(ctx)
    watching.refuse_mixtures(ctx.params, others="held-out-")
    require_trackers(track or ())
    training = parse_options(TrainOptions, _training_values(ctx, train_option or ()), "training options")
    component = current.host.component("adapters", adapter_type)
    build: Any = component.load()
    shape = parse_options(build.Options, read_assignments(option or ()), f"options of adapter {adapter_type!r}")
    shares, device = _shares(mix), own_device(device)
    with together(current, out, resume, device) as (world, run):
        digests = {**_digests("triplets", triplets), **_digests("features", features)}
        rows = [read_triplets(path) for path in triplets]
        mixture = Mixture(tuple(map(str, triplets)), tuple(map(len, rows)), shares)
        mixture.batches(training)  # says what is wrong with it before the backbone is loaded
        choice = BackboneChoice(model, pretrained, device, precision.value, preprocess.value)
        backbone = load_backbone(current.host, choice)
        phi = load_inversion(current.host, inversion, backbone, inversion_weights)
        known, pooled = _features(features), list(chain.from_iterable(rows))
        config = {**chosen_options(ctx), **settled_options(training, shape)}
        work = run.work / WORK

        def wrap(adapter: Any) -> Composed:
            return Composed(phi, adapter)

        watch = watching.watch_of(ctx.params, current, backbone, work, wrap, world)
        names = track or () if world.first else ()
        step = saved_step(work) if names else 0
        trackers = open_trackers(names, run.work, name=out.name, config=config, resume_step=step)
        with trackers as tracker, component.blamed():
            done = train_run(
                backbone,
                phi,
                pooled,
                known,
                component.make,
                shape,
                training,
                mixture=mixture,
                watch=replace(watch, tracker=tracker),
                store=_store(cache, work, world),
            )
        if not world.first:
            return
        summary = write_run(run, done, backbone, phi, digests, current.versions())
        run.write_config("train", config)
    if current.console.json:
        current.console.data({"out": out, **asdict(summary)})
        return
    hidden = ("domains", "validation", *(("fusion_weight",) if summary.fusion_weight is None else ()))
    current.console.table([summary], columns=[f.name for f in fields(summary) if f.name not in hidden])
    if summary.validation:
        current.console.data("")
        current.console.table([summary.validation])
    if len(summary.domains) > 1:
        current.console.data("")
        current.console.table(summary.domains)


def _store(cache: Path | None, work: Path, world: World) -> FrozenStore | None:
    """Where what is frozen is kept: nowhere without need, but several processes compute it together."""
    from motacli.adapters.frozen_store import FrozenStore

    folder = cache or (work / "frozen" if world.size > 1 else None)
    return None if folder is None else FrozenStore(folder, world)


def _shares(mix: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in mix.split(",")) if mix is not None else ()
    except ValueError as error:
        raise UsageError(f"--mix {mix!r} is no list of numbers", "as in --mix 0.7,0.3") from error


def _digests(name: str, paths: Sequence[Path]) -> dict[str, str]:
    """The files' digests: of one by what it is, of several by where they are as well."""
    from motacli.runs import file_digest

    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(f"--{name} names a file twice", "give each file once")
    return {name if len(paths) == 1 else f"{name} {path}": file_digest(path) for path in paths if path.is_file()}


def _features(paths: Sequence[Path]) -> Any:
    from motacli.adapters.domains import PooledFeatures
    from motacli.cache import FeatureCache

    files = {str(path): FeatureCache(path) for path in paths}
    return PooledFeatures(files) if len(files) > 1 else next(iter(files.values()))


def _training_values(ctx: typer.Context, more: Sequence[str]) -> dict[str, Any]:
    from motacli.adapters.record import FLAGS

    values = read_assignments(more)
    for name in FLAGS:
        flag = f"--{name.replace('_', '-')}"
        if name in values:
            raise UsageError(f"{name!r} is not for --train-option", f"give {flag}")
        if ctx.params[name] is not None:
            values[name] = ctx.params[name]
    return values
