"""Weights of inversion networks in whatever file their authors left them: safetensors, state dicts, checkpoints.

Only tensors and plain values are read: no code that a file may hold is ever run.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motacli.errors import DataError, MotaError
from motacli.inversions.wrong_files import sniff
from motacli.runs import explained
from motacli.weights import load_weights

AGAIN = "copy the file again, or train the network again"
_WRAPPERS = ("Phi", "state_dict_img2text")
"""Where the authors' training checkpoints keep the network: SEARLE's and LinCIR's, Pic2Word's."""
_PREFIX = "module."
_ONLY_TENSORS = (
    "only tensors are read, never code: ask whoever made {name!r} for its network alone, "
    "torch.save({{'Phi': phi.state_dict()}}, 'phi.pt')"
)


@dataclass(frozen=True)
class Checkpoint:
    """A network's float32 weights, the key that a training checkpoint kept them under, and the epoch it had reached."""

    state: dict[str, Tensor]
    wrapper: str | None = None
    epoch: int | None = None


def read_checkpoint(path: Path) -> Checkpoint:
    """The weights in a file: safetensors, or what torch saved: a state dict, by itself or in a training checkpoint.

    Keys lose the prefix ``module.`` where all of them have it. Raises `DataError` for what is no file of weights, for
    damaged files, and for weights that are not finite numbers.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file of weights", "the folder of a run goes to --inversion")
    if not path.is_file():
        raise DataError(f"no such weights file: {path}", "give a .safetensors or a .pt file")
    found = _read_safetensors(path) if _is_safetensors(path) else _read_pickle(path)
    wrapper = _wrapper(found)
    state: Mapping[Any, Any] = found if wrapper is None else found[wrapper]
    if not _is_state(state):
        keys = ", ".join(map(str, list(state)[:5])) or "nothing"
        raise DataError(f"{path} holds no weights of an inversion network but {keys}", f"expected {_expected()}")
    epoch = found.get("epoch")
    return Checkpoint(_floats(_unprefixed(state), path), wrapper, epoch if isinstance(epoch, int) else None)


def _wrapper(found: Mapping[Any, Any]) -> str | None:
    """The key whose table is the network: the authors', or else the only table of tensors; None for the file itself."""
    tables = [key for key, value in found.items() if isinstance(value, Mapping)]
    known = [key for key in _WRAPPERS if key in tables]
    if known:
        return known[0]
    states = [key for key in tables if isinstance(key, str) and _is_state(found[key])]
    return states[0] if len(states) == 1 else None


def _is_state(table: Mapping[Any, Any]) -> bool:
    return len(table) > 0 and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in table.items())


def _unprefixed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    everywhere = all(key.startswith(_PREFIX) for key in state)
    return {key.removeprefix(_PREFIX) if everywhere else key: value for key, value in state.items()}


def _floats(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Weights as float32, whatever they are stored as."""
    for key, value in state.items():
        if value.layout is not torch.strided or value.is_quantized or value.is_meta:
            raise DataError(f"{path}: {key} is not stored as plain numbers", "save the network as a plain state dict")
        if not torch.isfinite(value.float()).all():
            raise DataError(f"{path}: {key} holds NaN or infinity", AGAIN)
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


# ---------------------------------------------------------------------------------------------- files


def _is_safetensors(path: Path) -> bool:
    """By its content: the length of a header, then the header, which is JSON."""
    with explained(path), path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _read_safetensors(path: Path) -> Mapping[Any, Any]:
    return load_weights(path, "the inversion", AGAIN)


def _read_pickle(path: Path) -> Mapping[Any, Any]:
    if path.suffix == ".safetensors":  # torch goes by the name, too
        raise _unreadable(path)
    try:
        with explained(path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch finds odd is either read or refused below
            # Mapped, because a checkpoint may hold gigabytes around the network.
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except MotaError:
        raise
    except Exception as error:  # damage makes the unpickler stumble anywhere
        raise _unreadable(path, str(error)) from error
    if not isinstance(found, Mapping):
        size = f" of shape {tuple(found.shape)}" if isinstance(found, Tensor) else ""
        raise DataError(f"{path} holds {type(found).__name__}{size}, not a table of weights", f"expected {_expected()}")
    return found


def _unreadable(path: Path, said: str = "") -> DataError:
    if code := re.search(r"Unsupported (?:global: GLOBAL|class) (\S+)", said):
        reason, hint = f"it holds more than tensors: loading it would run {code[1]}", _ONLY_TENSORS
        return DataError(f"{path} cannot be read as weights: {reason}", hint.format(name=path.name))
    wrong = sniff(path)
    return DataError(f"{path} cannot be read as weights: it is {wrong.what}", wrong.hint)


def _expected() -> str:
    return f"a state dict, by itself or below {' or '.join(map(repr, _WRAPPERS))}"
