"""The inversion network and the adapter of an index: copies, so that it answers by itself wherever it is moved."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from motacli.adapters.files import WEIGHTS, load_adapter, read_adapter_record, state_digest
from motacli.contracts import Backbone, Inversion
from motacli.errors import UsageError
from motacli.inversions.files import read_record, run_weights, save_inversion
from motacli.models import load_inversion
from motacli.plugins import PluginHost
from motacli.runs import explained, file_digest
from motacli.search.index import ADAPTER, INVERSION


@dataclass(frozen=True)
class PartsChoice:
    """What ``--inversion --inversion-weights --adapter`` say."""

    inversion: str | None = None
    inversion_weights: Path | str | None = None
    adapter: Path | None = None


def copy_parts(path: Path, choice: PartsChoice, host: PluginHost, backbone: Backbone) -> dict[str, Any]:
    """Copy the chosen parts into the index ``path``; gives what its record says of them.

    Raises what loading them for ``backbone`` raises, and `UsageError` for an adapter without an inversion.
    """
    if choice.inversion is None:
        _refuse_without_inversion(choice)
        return {}
    inversion = load_inversion(host, choice.inversion, backbone, choice.inversion_weights)
    adapter = choice.adapter
    if adapter is not None:
        load_adapter(host, adapter, backbone, inversion)  # says what does not fit, before hours of encoding
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)
    name = _copy_inversion(path, choice, backbone, inversion)
    said: dict[str, Any] = {"inversion": name, "inversion_digest": state_digest(inversion)}
    return said if adapter is None else said | _copy_adapter(path, adapter)


def _copy_inversion(path: Path, choice: PartsChoice, backbone: Backbone, inversion: Inversion) -> str:
    name, weights = str(choice.inversion), choice.inversion_weights
    if weights is None and Path(name).is_dir():
        name, weights = run_weights(Path(name))
    if isinstance(inversion, nn.Module) and not hasattr(type(inversion), "for_backbone"):
        recipe, quality = _record_of(weights)
        save_inversion(path / INVERSION, inversion, backbone=backbone, recipe=recipe, quality=quality)
    return name


def _record_of(weights: Path | str | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    record = read_record(Path(weights)) if weights is not None else None
    return ({}, {}) if record is None else (record.recipe, record.quality)


def _copy_adapter(path: Path, adapter: Path) -> dict[str, Any]:
    record, copy = read_adapter_record(adapter), path / ADAPTER
    with explained(copy):
        copy.mkdir(exist_ok=True)
        for file in (adapter / WEIGHTS, (adapter / WEIGHTS).with_suffix(".json")):
            shutil.copyfile(file, copy / file.name)
    return {"adapter": record.adapter, "adapter_digest": file_digest(copy / WEIGHTS)}


def _refuse_without_inversion(choice: PartsChoice) -> None:
    for name, value in (("--inversion-weights", choice.inversion_weights), ("--adapter", choice.adapter)):
        if value is not None:
            raise UsageError(f"{name} without an inversion", "name the --inversion it belongs to")
