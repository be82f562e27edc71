"""Inversion networks on disk: our own files, a safetensors file with its JSON, and the authors' ``.pt`` files."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from motacli import __version__
from motacli.config import parse_options
from motacli.contracts import Backbone
from motacli.errors import DataError, UsageError
from motacli.inversions.sizes import Sizes
from motacli.runs import explained
from motacli.weights import load_weights, read_about, refuse_other_weights, save_weights

FORMAT = 1
KIND = "inversion"
WEIGHTS = "inversion.safetensors"
_WRAPPERS = ("Phi", "state_dict_img2text")
"""Where the authors' training checkpoints keep the network: SEARLE's and LinCIR's, Pic2Word's."""
_PREFIX = "module."
_TORCH_DAMAGE = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError)
_TRAIN_AGAIN = "copy the file again, or train the network again"


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
    sizes = _sizes(phi, state)
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
    about = read_about(path, _TRAIN_AGAIN)
    if about.get("kind") != KIND:
        raise DataError(f"{path} holds no inversion network: {where.name} calls it {about.get('kind')!r}")
    if about.get("format") != FORMAT:
        hint = "train it again, or use the version of mota that wrote it"
        raise DataError(f"{where}: format {about.get('format')!r} is not {FORMAT}, the one known here", hint)
    try:
        return parse_options(InversionRecord, about, str(where))
    except UsageError as error:
        raise DataError(error.message, "the file was changed or damaged") from error


def read_inversion(path: Path, factory: Callable[..., Any], backbone: Backbone) -> nn.Module:
    """The network of class ``factory`` with the weights in ``path``, on the backbone's device, frozen, in eval mode.

    Takes our own files and, as ``.safetensors`` or ``.pt``, plain state dicts and the authors' checkpoints. A class
    with a classmethod ``sizes(state) -> Sizes`` may have any inner width; others are built for the backbone alone.

    Raises `DataError` for missing or damaged files, for weights that are not the network's own, or that are for a
    backbone of other dimensions; `UsageError` where our own file says that it is another inversion, or one for another
    backbone.
    """
    record = read_record(path)
    if record is not None:
        _refuse_other_parts(record, path, factory, backbone)
    state = _floats(read_state(path), path)
    phi = _build(factory, state, path, backbone)
    load_weights_into(phi, state, path)
    return phi.to(backbone.device).eval().requires_grad_(False)


def load_weights_into(phi: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that were read from ``path``; `DataError` unless their names and shapes are the network's own."""
    refuse_other_weights(phi.state_dict(), state, path, f"these are not the weights of inversion {phi.name!r}")
    phi.load_state_dict(dict(state))


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict of an inversion network in a file of any known kind; `DataError` where there is none."""
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file of weights", "the folder of a run goes to --inversion")
    if not path.is_file():
        raise DataError(f"no such weights file: {path}", "give a .safetensors or a .pt file")
    own = path.suffix == ".safetensors"
    found: Mapping[Any, Any] = load_weights(path, "the inversion", _TRAIN_AGAIN) if own else _read_pickle(path)
    inner = [found[wrapper] for wrapper in _WRAPPERS if isinstance(found.get(wrapper), Mapping)]
    state = inner[0] if inner else found
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        keys = ", ".join(map(str, list(state)[:5])) or "nothing"
        raise DataError(f"{path} holds no weights of an inversion network but {keys}", f"expected {_expected()}")
    return {str(key).removeprefix(_PREFIX): value for key, value in state.items()}


def _read_pickle(path: Path) -> Mapping[Any, Any]:
    try:
        with explained(path):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except _TORCH_DAMAGE as error:
        hint = "only files of tensors are read, never pickled code: look for a damaged copy or another kind of file"
        raise DataError(f"{path} cannot be read as weights: {_first_sentence(error)}", hint) from error
    if not isinstance(found, Mapping):
        raise DataError(f"{path} holds {type(found).__name__}, not a table of weights", f"expected {_expected()}")
    return found


def _floats(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Weights as float32, whatever they are stored as."""
    broken = next((key for key, value in state.items() if not torch.isfinite(value.float()).all()), None)
    if broken is not None:
        raise DataError(f"{path}: {broken} holds NaN or infinity", _TRAIN_AGAIN)
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def _build(factory: Callable[..., Any], state: Mapping[str, Tensor], path: Path, backbone: Backbone) -> nn.Module:
    try:
        sizes = _sizes(factory, state)
    except DataError as error:
        name = getattr(factory, "name", "")
        raise DataError(
            f"{path} holds no network like {name!r}: {error.message}", "is it of another --inversion?"
        ) from error
    if sizes is None:
        return cast(nn.Module, factory(joint_dim=backbone.joint_dim, text_width=backbone.text_width))
    if (sizes.joint_dim, sizes.text_width) != (backbone.joint_dim, backbone.text_width):
        raise DataError(
            f"{path} maps features of {sizes.joint_dim} to words of {sizes.text_width}, and backbone {backbone.name!r} "
            f"needs {backbone.joint_dim} to {backbone.text_width}",
            "give the --model it was trained with, or other weights",
        )
    return cast(nn.Module, factory(**asdict(sizes)))


def _sizes(network: Any, state: Mapping[str, Tensor]) -> Sizes | None:
    read = getattr(network, "sizes", None)
    return None if read is None else read(state)


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


def _expected() -> str:
    return f"a state dict, by itself or below {' or '.join(map(repr, _WRAPPERS))}"


def _first_sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0].removesuffix(".")
