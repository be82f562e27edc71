"""Inversion networks of other people's files in our own format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motacli.contracts import Backbone
from motacli.errors import DataError, UsageError
from motacli.inversions.checkpoints import read_checkpoint
from motacli.inversions.detect import detect
from motacli.inversions.files import read_inversion, read_record, save_inversion
from motacli.inversions.networks import sizes_of
from motacli.plugins import PluginHost
from motacli.runs import file_digest, refuse_existing

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Converted:
    """What was written: ``dtype`` is how the weights are stored, ``wrapper`` and ``epoch`` what their file said."""

    inversion: str
    backbone: str
    joint_dim: int
    text_width: int
    hidden: int | None
    parameters: int
    dtype: str
    wrapper: str | None
    epoch: int | None
    megabytes: float


def convert_inversion(
    host: PluginHost, path: Path, out: Path, backbone: Backbone, name: str | None = None, half: bool = False
) -> Converted:
    """Write the network in ``path`` to ``out`` (``*.safetensors``, with its JSON beside it) as one for ``backbone``.

    ``name`` is the inversion it is; it may be left out where the file or the weights tell. The JSON's recipe names the
    file it came from, with its SHA-256. ``half`` stores float16, which is read as float32 again.

    Raises `UsageError` where the weights are those of several inversions and ``name`` is missing, or ``out`` is no name
    for such a file, `DataError` for weights that do not fit ``backbone`` or float16, `MotaError` where something is at
    ``out`` already, and what `motacli.inversions.files.read_inversion` raises.
    """
    if out.suffix != SUFFIX:
        raise UsageError(f"{out} does not end in {SUFFIX}", f"our format is a {SUFFIX} file with a .json beside it")
    refuse_existing(out)
    refuse_existing(out.with_suffix(".json"))
    record, checkpoint = read_record(path), read_checkpoint(path)
    name = name or (_only_name(host, checkpoint.state, path) if record is None else record.name)
    factory: Any = host.component("inversions", name).load()
    phi = read_inversion(path, factory, backbone, host)
    if half:
        _halve(phi, path)
    recipe = {"converted_from": path.name, "sha256": file_digest(path)} | _found(
        wrapper=checkpoint.wrapper, epoch=checkpoint.epoch, recipe=record and record.recipe
    )
    save_inversion(out, phi, backbone=backbone, recipe=recipe, quality=record.quality if record else None)
    sizes = sizes_of(phi, phi.state_dict())
    return Converted(
        inversion=name,
        backbone=backbone.name,
        joint_dim=backbone.joint_dim,
        text_width=backbone.text_width,
        hidden=None if sizes is None else sizes.hidden,
        parameters=sum(p.numel() for p in phi.parameters()),
        dtype="float16" if half else "float32",
        wrapper=checkpoint.wrapper,
        epoch=checkpoint.epoch,
        megabytes=out.stat().st_size / 1e6,
    )


def _only_name(host: PluginHost, state: Mapping[str, Tensor], path: Path) -> str:
    """The one inversion whose weights these are, read from a file that does not say."""
    names = detect(host, state, path).names
    if len(names) > 1:
        raise UsageError(
            f"{path} does not say which inversion it is: its network is that of {' and '.join(names)}",
            f"give --inversion {' or --inversion '.join(names)}",
        )
    return names[0]


def _found(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _halve(phi: nn.Module, path: Path) -> None:
    phi.half()
    if not all(torch.isfinite(value).all() for value in phi.state_dict().values()):
        raise DataError(f"some weights in {path} are too large for float16", "leave --half out")
