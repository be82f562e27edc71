"""Inversion networks on disk: our own files, a safetensors file with its JSON, and networks read for a backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from motacli import __version__
from motacli.config import parse_options
from motacli.contracts import Backbone
from motacli.errors import DataError, UsageError
from motacli.inversions.checkpoints import AGAIN, read_checkpoint
from motacli.inversions.detect import detect
from motacli.inversions.networks import build_network, load_weights_into, sizes_of
from motacli.inversions.sizes import Sizes
from motacli.inversions.wrong_files import what_weights
from motacli.plugins import PluginHost
from motacli.runs import partial_path
from motacli.weights import read_about, save_weights

FORMAT = 1
KIND = "inversion"
WEIGHTS = "inversion.safetensors"


@dataclass(frozen=True)
class TrainedOn:
    """The backbone whose features and token embeddings a network connects."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class InversionRecord:
    """The JSON beside our own files. ``hidden`` is None for a network that does not tell its inner width."""

    kind: str
    format: int
    name: str
    joint_dim: int
    text_width: int
    hidden: int | None
    backbone: TrainedOn
    recipe: dict[str, Any]
    mota: str
    sha256: str
    quality: dict[str, Any] = field(default_factory=dict)


def save_inversion(
    path: Path,
    phi: nn.Module,
    *,
    backbone: Backbone,
    recipe: Mapping[str, Any],
    quality: Mapping[str, Any] | None = None,
) -> None:
    """Write the network (it has a ``name``) to ``path`` (``*.safetensors``) and what it is to the JSON beside it."""
    state = phi.state_dict()
    sizes = sizes_of(phi, state)
    about = {
        "kind": KIND,
        "format": FORMAT,
        "name": phi.name,
        "joint_dim": backbone.joint_dim,
        "text_width": backbone.text_width,
        "hidden": None if sizes is None else sizes.hidden,
        "backbone": asdict(TrainedOn(backbone.name, backbone.fingerprint())),
        "recipe": dict(recipe),
        "mota": __version__,
        "quality": dict(quality or {}),
    }
    save_weights(path, state, about)


def read_record(path: Path) -> InversionRecord | None:
    """What the JSON beside ``path`` says; None where there is none. `DataError` where it is not about an inversion."""
    where = path.with_suffix(".json")
    if path.suffix != ".safetensors" or not where.is_file():
        return None
    about = read_about(path, AGAIN)
    if about.get("kind") != KIND:
        kind = "an adapter" if "adapter" in about else repr(about.get("kind"))
        hint = "a trained adapter's folder goes to --adapter" if "adapter" in about else ""
        raise DataError(f"{path} holds no inversion network: {where.name} calls it {kind}", hint)
    if about.get("format") != FORMAT:
        hint = "train it again, or use the version of mota that wrote it"
        raise DataError(f"{where}: format {about.get('format')!r} is not {FORMAT}, the one known here", hint)
    try:
        return parse_options(InversionRecord, about, str(where))
    except UsageError as error:
        raise DataError(error.message, "the file was changed or damaged") from error


def run_weights(folder: Path) -> tuple[str, Path]:
    """The inversion that the folder of a ``mota train-inversion`` holds, and its weights; `DataError` for others."""
    path = folder / WEIGHTS
    record = read_record(path) if path.is_file() else None
    if record is None:
        missing = f"there is no {path.name if not path.is_file() else path.with_suffix('.json').name} in it"
        if partial_path(folder).is_dir():
            missing = f"{partial_path(folder).name} is an unfinished one"
        raise DataError(
            f"{folder} is not the folder of a trained inversion: {missing}", "train one: `mota train-inversion`"
        )
    return record.name, path


def read_inversion(
    path: Path, factory: Callable[..., Any], backbone: Backbone, host: PluginHost | None = None
) -> nn.Module:
    """The network of class ``factory`` with the weights in ``path``, on the backbone's device, frozen, in eval mode.

    Takes our own files and all that `motacli.inversions.checkpoints.read_checkpoint` reads. A class with a classmethod
    ``sizes(state) -> Sizes`` may have any inner width; others are built for the backbone alone. Given a ``host``, an
    error says which of its inversions the file holds instead.

    Raises `DataError` for missing or damaged files, for weights that are not the network's own, or that are for a
    backbone of other dimensions; `UsageError` where our own file says that it is another inversion, or one for another
    backbone, and for inversions without weights.
    """
    if hasattr(factory, "for_backbone"):
        raise UsageError(f"inversion {getattr(factory, 'name', '')!r} has no weights to read", "it needs none")
    record = read_record(path)
    if record is not None:
        _refuse_other_parts(record, path, factory, backbone)
    state = read_checkpoint(path).state
    try:
        sizes = sizes_of(factory, state)
    except DataError as error:
        message = f"{path} holds no network like {getattr(factory, 'name', '')!r}: {error.message}"
        raise DataError(message, _what_instead(host, state, path)) from error
    if sizes is None:
        phi: nn.Module = factory(joint_dim=backbone.joint_dim, text_width=backbone.text_width)
        load_weights_into(phi, state, path)
    else:
        _refuse_other_sizes(sizes, path, backbone)
        phi = build_network(factory, sizes, state, path)
    return phi.to(backbone.device).eval().requires_grad_(False)


def _what_instead(host: PluginHost | None, state: Mapping[str, Tensor], path: Path) -> str:
    if host is None:
        return "is it of another --inversion?"
    try:
        return f"its weights are those of --inversion {' or '.join(detect(host, state, path).names)}"
    except DataError:
        return f"it holds {what_weights(state)}"


def _refuse_other_sizes(sizes: Sizes, path: Path, backbone: Backbone) -> None:
    if (sizes.joint_dim, sizes.text_width) != (backbone.joint_dim, backbone.text_width):
        raise DataError(
            f"{path} maps features of {sizes.joint_dim} to words of {sizes.text_width}, and backbone {backbone.name!r} "
            f"needs {backbone.joint_dim} to {backbone.text_width}",
            "give the --model it was trained with, or other weights",
        )


def _refuse_other_parts(record: InversionRecord, path: Path, factory: Any, backbone: Backbone) -> None:
    if record.name != getattr(factory, "name", record.name):
        raise UsageError(f"{path} holds inversion {record.name!r}, not {factory.name!r}", "name the one it holds")
    trained_on = record.backbone
    if trained_on.fingerprint != backbone.fingerprint():
        raise UsageError(
            f"the inversion in {path} was trained on backbone {trained_on.name!r} ({trained_on.fingerprint}), "
            f"not on {backbone.name!r} ({backbone.fingerprint()})",
            "give the --model, --pretrained, --precision and --preprocess it was trained with, or train one for this "
            f"backbone with `mota train-inversion {record.name}`",
        )
