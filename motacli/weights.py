"""Weights on disk: a safetensors file, and beside it a JSON file of the same name: what they are, and their SHA-256."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from motacli.errors import DataError, MotaError
from motacli.runs import explained, file_digest, make_shareable, partial_path, write_json

_REINSTALL = "reinstall the package, or give another file"


def save_weights(path: Path, state: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write ``path`` (``*.safetensors``) and its JSON, each under another name first."""
    partial = partial_path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Clones, because safetensors refuses tensors that share their memory.
            save_file({key: value.detach().cpu().contiguous().clone() for key, value in state.items()}, partial)
        except SafetensorError as error:  # a full disk arrives as this, too
            raise MotaError(f"could not write {path}: {error}", "is there space left?") from error
        make_shareable(partial)
        partial.replace(path)
    write_json(path.with_suffix(".json"), {**about, "sha256": file_digest(path)})


def load_weights(path: Path, what: str, hint: str = _REINSTALL) -> dict[str, Tensor]:
    """The tensors of a safetensors file; `DataError` where it is missing, damaged or not what its JSON promises."""
    if not path.is_file():
        raise DataError(f"the weights of {what} are missing: {path}", hint)
    promised = read_about(path, hint).get("sha256")
    if promised is not None and promised != file_digest(path):
        raise DataError(f"the weights of {what} are damaged: {path} does not match its checksum", hint)
    try:
        with explained(path):
            return load_file(path)
    except SafetensorError as error:
        raise DataError(f"{path} is not a readable safetensors file: {error}", f"it should hold {what}") from error


def write_part(path: Path, part: Tensor, made_by: str) -> None:
    """Keep a part of unfinished work, with what it was made by; a kill leaves all of it or none."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"part": part.cpu().contiguous()}, partial_path(path), {"made_by": made_by})
        partial_path(path).replace(path)


def read_part(path: Path, made_by: str) -> Tensor | None:
    """A part that was kept; None where there is none, or one that was made by something else."""
    if not path.is_file():
        return None
    with explained(path), safe_open(path, "pt") as file:
        same = (file.metadata() or {}).get("made_by") == made_by
        part: Tensor | None = file.get_tensor("part") if same else None
    return part


def place_of_part(path: Path) -> int:
    """Where in the file of a kept part its numbers begin."""
    with explained(path), path.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    return 8 + len(header) + int(json.loads(header)["part"]["data_offsets"][0])


def read_about(path: Path, hint: str = _REINSTALL) -> dict[str, Any]:
    """The JSON beside a weights file; empty where there is none."""
    about = path.with_suffix(".json")
    if not about.is_file():
        return {}
    try:
        with explained(about):
            found = json.loads(about.read_text("utf-8"))
    except ValueError as error:  # both the parser and the decoder derive their errors from it
        raise DataError(f"{about} is not valid JSON: {error}", hint) from error
    if not isinstance(found, dict):
        raise DataError(f"{about} says nothing about {path.name}: it holds {type(found).__name__}, not a table", hint)
    return found


def refuse_other_weights(own: Mapping[str, Tensor], found: Mapping[str, Tensor], where: Path, hint: str = "") -> None:
    """Raise `DataError` unless ``found`` has the names and shapes of ``own``, a network's state dict."""
    mistakes = [f"{key} is missing" for key in own if key not in found]
    mistakes += [f"{key} is unknown" for key in found if key not in own]
    mistakes += [
        f"{key} has shape {tuple(found[key].shape)}, not {tuple(own[key].shape)}"
        for key in own
        if key in found and own[key].shape != found[key].shape
    ]
    if mistakes:
        raise DataError(f"{where}: {len(mistakes)} wrong weights, the first: {mistakes[0]}", hint)
