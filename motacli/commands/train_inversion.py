"""`mota train-inversion`: a network that turns a picture's feature into a pseudo-word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from motacli.assignments import read_assignments, write_assignments
from motacli.commands import options, watching
from motacli.commands.session import chosen_options, session
from motacli.errors import UsageError
from motacli.remote.urls import path_of

Name = Annotated[str, typer.Argument(metavar="NAME", help="Inversion, see `mota ls inversions`.")]
Features = Annotated[Path | None, typer.Option("--features", help="Features that `mota cache --data` wrote.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="PATH", parser=path_of, help="Pictures with captions, of any kind in the README."),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", metavar="PATH", parser=path_of, help="A folder of pictures without captions."),
]
Captions = Annotated[
    Path | None,
    typer.Option("--captions", metavar="PATH", parser=path_of, help="Captions alone: a text file, CSV, TSV or JSONL."),
]
Recipe = Annotated[
    str | None, typer.Option("--recipe", help="authors, tiny, or a TOML file. Default: what the backbone asks for.")
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Steps of training.")]
Epochs = Annotated[int | None, typer.Option("--epochs", min=0, help="Passes over the data; above 0 they count.")]
Lr = Annotated[float | None, typer.Option("--lr", min=0.0, help="Peak learning rate.")]
Wd = Annotated[float | None, typer.Option("--wd", min=0.0, help="Weight decay.")]
Warmup = Annotated[int | None, typer.Option("--warmup", min=0, help="Steps of linear warm-up.")]
Rows = Annotated[int | None, typer.Option("--batch-size", min=2, help="Rows per step.")]
TrainSeed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")]
More = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="Another option of its training, as dropout=0.5; repeatable."),
]
Faithful = Annotated[bool, typer.Option("--faithful", help="LinCIR: mask captions as its authors' code does.")]
FLAGS = ("steps", "epochs", "lr", "wd", "warmup", "batch_size", "seed")
"""The options that have a flag of their own; their defaults are those of the inversion's ``Options``."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train-inversion")(train_inversion)


def train_inversion(
    ctx: typer.Context,
    name: Name,
    out: options.Out,
    features: Features = None,
    data: Data = None,
    images: Images = None,
    captions: Captions = None,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    recipe: Recipe = None,
    steps: Steps = None,
    epochs: Epochs = None,
    lr: Lr = None,
    wd: Wd = None,
    warmup: Warmup = None,
    batch_size: Rows = None,
    seed: TrainSeed = None,
    option: More = None,
    faithful: Faithful = False,
    save_every: options.SaveEvery = 200,
    validate: watching.Validate = None,
    data_root: watching.Root = None,
    split: watching.ValidateSplit = None,
    validate_every: watching.ValidateEvery = 1000,
    keep_best: watching.KeepBest = None,
    patience: watching.Patience = 0,
    workers: options.Workers = 0,
    resume: options.Resume = False,
) -> None:
    """Train an inversion network on pictures or captions; the backbone stays frozen.

    Killed, it goes on by --resume and ends with the same weights. `torchrun --nproc-per-node N -m motacli
    train-inversion ...` shares every batch among N processes, and with --max-restarts goes on by itself when one of
    them is killed."""
    from motacli.commands.processes import together
    from motacli.config import parse_options
    from motacli.inversions.recipes import overlaid, read_recipe
    from motacli.inversions.run import fit_run, options_class, write_run
    from motacli.inversions.sources import TrainingData
    from motacli.models import BackboneChoice, load_backbone
    from motacli.processes.world import own_device
    from motacli.query_sources import Composed
    from motacli.runs import WORK

    current = session(ctx)
    _refuse_mixtures(ctx.params)
    component = current.host.component("inversions", name)
    build: Any = component.load()
    known = options_class(build, name)
    values, device = _values(ctx.params, option or ()), own_device(device)
    with together(current, out, resume, device) as (world, run):
        choice = BackboneChoice(model, pretrained, device, precision.value, preprocess.value)
        backbone = load_backbone(current.host, choice)
        merged = overlaid(read_recipe(recipe, name, backbone), values)
        training = parse_options(known, merged, f"options of inversion {name!r}")
        source = TrainingData(features, data, images, captions, workers=workers)
        work = run.work / WORK
        pairs = source.load(backbone, work, current.console, world)
        watch = watching.watch_of(ctx.params, current, backbone, work, Composed, world)  # type: ignore[arg-type]
        with component.blamed():
            trained = fit_run(backbone, build, pairs, training, watch)
            component.checked(trained.phi)
        if not world.first:
            return
        summary = write_run(run, trained, backbone, source.digests(), current.versions())
        run.write_config("train-inversion", {**chosen_options(ctx), **_settled(training)})
    if current.console.json:
        current.console.data({"out": out, **asdict(summary)})
    else:
        current.console.table([summary])


def _refuse_mixtures(given: Mapping[str, Any]) -> None:
    if len([name for name in ("features", "data", "images", "captions") if given[name] is not None]) != 1:
        raise UsageError("say what to train on", "one of --features, --data, --images and --captions")
    watching.refuse_mixtures(given)
    if given["faithful"] and given["name"] != "lincir":
        raise UsageError("--faithful is about LinCIR's masking", "leave it out")


def _values(params: Mapping[str, Any], more: Sequence[str]) -> dict[str, Any]:
    """What flags and ``--option`` say; ``oti.steps=100`` sets an option inside of one."""
    values = read_assignments(more)
    for key in values:
        if key in FLAGS:
            raise UsageError(f"{key!r} is not for --option", f"give --{key.replace('_', '-')}")
    if params["faithful"]:
        values["masking"] = "faithful"
    given = {flag: params[flag] for flag in FLAGS if params[flag] is not None}
    if "steps" in given and "epochs" not in given:
        given["epochs"] = 0  # or the recipe's epochs would go before the steps that were asked for
    return {**values, **given}


def _settled(training: Any) -> dict[str, object]:
    """Every option for ``config.json``, so that a change of defaults changes no re-run."""
    flags, more = {}, {}
    for key, value in asdict(training).items():
        if key in FLAGS:
            flags[key] = value
        elif isinstance(value, dict):
            more.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            more[key] = value
    return {**flags, "option": write_assignments(more)}
