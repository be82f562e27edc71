"""Weights on disk: a safetensors file with a JSON file of the same name beside it that says what it is and its SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from motacli.errors import DataError
from motacli.runs import write_json


def save_weights(path: Path, state: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write ``path`` (``*.safetensors``) and its JSON, each beside first and then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file({key: value.detach().cpu().contiguous() for key, value in state.items()}, partial)
    partial.rename(path)
    write_json(path.with_suffix(".json"), {**about, "sha256": digest(path)})


def load_weights(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file; `DataError` where it is missing, damaged or not what its JSON promises."""
    if not path.exists():
        raise DataError(f"the weights of {what} are missing: {path}", "reinstall the package, or give another file")
    promised = read_about(path).get("sha256")
    if promised is not None and promised != digest(path):
        raise DataError(f"the weights of {what} are damaged: {path} does not match its checksum", "reinstall the package")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise DataError(f"{path} is not a readable safetensors file: {error}", f"it should hold {what}") from error


def read_about(path: Path) -> dict[str, Any]:
    """The JSON beside a weights file; empty where there is none."""
    about = path.with_suffix(".json")
    if not about.exists():
        return {}
    try:
        found = json.loads(about.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{about} is not valid JSON: {error}", "reinstall the package, or write the weights again") from error
    return found if isinstance(found, dict) else {}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
