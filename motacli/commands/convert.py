"""`mota convert`: a released inversion network, or any other file of one, in our own format."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from motacli.commands import options
from motacli.commands.session import session

File = Annotated[
    str,
    typer.Argument(metavar="FILE", help="Weights: a file, a trained run's folder, hf-hub:OWNER/REPO/FILE or a URL."),
]
Name = Annotated[str | None, typer.Option("--inversion", help="Which inversion it is, where the file does not tell.")]
Half = Annotated[bool, typer.Option("--half", help="Store float16: half the size, and read as float32 again.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert")(convert)


def convert(
    ctx: typer.Context,
    file: File,
    out: options.Out,
    inversion: Name = None,
    half: Half = False,
    model: options.Model = "tiny",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = options.Precision.fp32,
    preprocess: options.PreprocessOption = options.Preprocess.clip,
) -> None:
    """Write an inversion network in mota's own format: safetensors, and a JSON naming its backbone and its source."""
    from motacli.fetch import local_weights
    from motacli.inversions.conversion import convert_inversion
    from motacli.inversions.files import run_weights
    from motacli.models import BackboneChoice, load_backbone

    current = session(ctx)
    path = local_weights(file)
    if path.is_dir():
        _, path = run_weights(path)
    backbone = load_backbone(current.host, BackboneChoice(model, pretrained, device, precision.value, preprocess.value))
    converted = convert_inversion(current.host, path, out, backbone, inversion, half)
    if current.console.json:
        current.console.data({"out": out, **asdict(converted)})
    else:
        current.console.table([converted])
