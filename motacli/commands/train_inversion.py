"""`mota train-inversion`: a network that turns a picture's feature into a pseudo-word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from motacli.assignments import read_assignments, write_assignments
from motacli.commands import options
from motacli.commands.session import chosen_options, session
from motacli.errors import UsageError

Name = Annotated[str, typer.Argument(metavar="NAME", help="Inversion, see `mota ls inversions`.")]
Features = Annotated[Path, typer.Option("--features", help="Image-text features that `mota cache --data` wrote.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Steps of training.")]
Lr = Annotated[float | None, typer.Option("--lr", min=0.0, help="Peak learning rate.")]
Rows = Annotated[int | None, typer.Option("--batch-size", min=2, help="Rows per step.")]
TrainSeed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")]
More = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="Another option of its training, as dropout=0.5; repeatable."),
]
FLAGS = ("steps", "lr", "batch_size", "seed")
"""The options that have a flag of their own; their defaults are those of the inversion's ``Options``."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train-inversion")(train_inversion)


def train_inversion(
    ctx: typer.Context,
    name: Name,
    features: Features,
    out: options.Out,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
    steps: Steps = None,
    lr: Lr = None,
    batch_size: Rows = None,
    seed: TrainSeed = None,
    option: More = None,
) -> None:
    """Train an inversion network on cached features of pictures and captions; the backbone stays frozen."""
    from motacli.cache import FeatureCache
    from motacli.config import parse_options
    from motacli.inversions.run import fit_run, options_class, write_run
    from motacli.models import BackboneChoice, load_backbone
    from motacli.runs import RunDir, file_digest

    current = session(ctx)
    build: Any = current.host.component("inversions", name).load()
    values = _values(ctx.params, option or ())
    training = parse_options(options_class(build, name), values, f"options of inversion {name!r}")
    with RunDir.create(out) as run:
        cache = FeatureCache(features)
        backbone = load_backbone(
            current.host, BackboneChoice(model, pretrained, device, precision.value, preprocess.value)
        )
        trained = fit_run(backbone, build, cache, training, current.console)
        summary = write_run(run, trained, backbone, {"features": file_digest(features)}, current.versions())
        run.write_config("train-inversion", {**chosen_options(ctx), **_settled(training)})
    if current.console.json:
        current.console.data({"out": out, **asdict(summary)})
    else:
        current.console.table([summary])


def _values(params: Mapping[str, Any], more: Sequence[str]) -> dict[str, Any]:
    """What flags and ``--option`` say; ``oti.steps=100`` sets an option inside of one."""
    values: dict[str, Any] = {}
    for key, value in read_assignments(more).items():
        if key in FLAGS:
            raise UsageError(f"{key!r} is not for --option", f"give --{key.replace('_', '-')}")
        outer, dot, inner = key.partition(".")
        if not dot:
            values[key] = value
        elif isinstance(values.setdefault(outer, {}), dict):
            values[outer][inner] = value
        else:
            raise UsageError(f"option {outer!r} is given twice")
    return {**values, **{flag: params[flag] for flag in FLAGS if params[flag] is not None}}


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
