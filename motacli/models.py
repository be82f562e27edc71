"""From the words of the command line to models: a frozen backbone, and an inversion network with its weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from motacli.contracts import Backbone, Inversion
from motacli.errors import UnknownNameError, UsageError
from motacli.fetch import local_weights
from motacli.inversions.files import read_inversion, run_weights
from motacli.plugins import PluginHost

_DEFAULT = "open_clip"
_OPEN_CLIP_SCHEMES = ("hf-hub", "local-dir")


@dataclass(frozen=True)
class BackboneChoice:
    """What ``--model --pretrained --device --precision --preprocess`` say."""

    model: str = "tiny"
    pretrained: str | None = None
    device: str = "auto"
    precision: str = "fp32"
    preprocess: str = "clip"


def load_backbone(host: PluginHost, choice: BackboneChoice) -> Backbone:
    """The chosen backbone on its device.

    ``model`` is the name of a registered backbone, ``PLUGIN:MODEL`` for a model of one of those, or else a model's name
    in open_clip. Raises `UsageError` for devices that are not there and `UnknownNameError` for unknown names.
    """
    name, model = _component_and_model(host, choice.model)
    device = resolve_device(choice.device)
    how = {"device": device, "precision": choice.precision, "preprocessing": choice.preprocess}
    return cast(Backbone, host.component("backbones", name).make(model, choice.pretrained, **how))


def resolve_device(device: str) -> str:
    """The device to compute on: ``auto`` is the GPU where there is one; `UsageError` for one that does not work."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
        raise UsageError(f"device {device!r} cannot be used: {reason}", "try --device auto or cpu") from error
    return device


def load_inversion(host: PluginHost, name: str, backbone: Backbone, weights: Path | str | None = None) -> Inversion:
    """An inversion network for ``backbone``, frozen and in eval mode on its device.

    ``name`` is a registered inversion, whose weights are in the file ``weights`` or else come with the backbone, or the
    folder of a finished ``mota train-inversion``; a class with a classmethod ``for_backbone(backbone)`` needs none.
    ``weights`` may be an address, ``hf-hub:OWNER/REPOSITORY/FILE`` or a URL. Raises `UnknownNameError` for an unknown
    name, `UsageError` where there are no weights, and what `motacli.fetch.fetch_weights` and
    `motacli.inversions.files.read_inversion` raise.
    """
    if not _is_registered(host, name) and (Path(name).is_dir() or os.sep in name):
        if weights is not None:
            raise UsageError(f"{name} has weights of its own", "leave --inversion-weights out, or name an inversion")
        name, weights = run_weights(Path(name))
    component = host.component("inversions", name)
    factory: Any = component.load()
    if hasattr(factory, "for_backbone"):
        if weights is not None:
            raise UsageError(f"inversion {name!r} has no weights", "leave --inversion-weights out")
        with component.blamed():
            made = factory.for_backbone(backbone)
        return cast(Inversion, component.checked(made))
    path = local_weights(weights) if weights else _shipped(name, backbone)
    with component.blamed():
        phi = component.checked(read_inversion(path, factory, backbone, host))
        _refuse_other_shapes(phi, backbone)
    return cast(Inversion, phi)


def _refuse_other_shapes(phi: Any, backbone: Backbone) -> None:
    """Run the network once: its pseudo-words have to be ``(B, n, w)``."""
    with torch.no_grad():
        words = phi(torch.zeros(2, backbone.joint_dim, device=backbone.device))
    shape = tuple(getattr(words, "shape", ()))
    if len(shape) != 3 or shape[1] < 1 or (shape[0], shape[2]) != (2, backbone.text_width):
        raise TypeError(f"2 features give pseudo-words of shape {shape}, not (2, n, {backbone.text_width})")


def _component_and_model(host: PluginHost, model: str) -> tuple[str, str]:
    """Which component loads a model, and what to ask it for."""
    registered = {component.name for component in host.components("backbones")}
    if model in registered:
        return model, model
    plugin, colon, rest = model.partition(":")
    if not colon or plugin in _OPEN_CLIP_SCHEMES:
        return _DEFAULT, model
    if plugin not in registered:
        raise UnknownNameError("backbone", plugin, registered)
    return plugin, rest


def _is_registered(host: PluginHost, name: str) -> bool:
    return any(component.name == name for component in host.components("inversions"))


def _shipped(name: str, backbone: Backbone) -> Path:
    """The weights that come with the backbone, an optional attribute ``inversion_weights`` of it."""
    shipped: Mapping[str, Path] = getattr(backbone, "inversion_weights", {})
    if name not in shipped:
        raise UsageError(
            f"there are no weights of inversion {name!r} for backbone {backbone.name!r}",
            f"give --inversion-weights, or train some with `mota train-inversion {name}`",
        )
    return shipped[name]
