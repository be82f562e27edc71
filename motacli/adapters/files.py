"""A trained adapter on disk: ``adapter.safetensors`` holds its weights alone, ``adapter.json`` what it belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from motacli import __version__
from motacli.config import parse_options
from motacli.contracts import Adapter, Backbone, Inversion
from motacli.errors import DataError, UsageError
from motacli.plugins import PluginHost
from motacli.rows_on_disk import row_blocks
from motacli.weights import load_weights, read_about, refuse_other_weights, save_weights

FORMAT = 1
WEIGHTS = "adapter.safetensors"


@dataclass(frozen=True)
class BackboneRecord:
    """The backbone an adapter was trained on."""

    name: str
    fingerprint: str
    joint_dim: int
    text_width: int


@dataclass(frozen=True)
class InversionRecord:
    """The inversion network an adapter was trained on; no digest where it has no weights."""

    name: str
    digest: str | None = None


@dataclass(frozen=True)
class AdapterRecord:
    """The contents of ``adapter.json``. ``about`` is whatever the training noted, its options among it."""

    format: int
    adapter: str
    options: dict[str, Any]
    backbone: BackboneRecord
    inversion: InversionRecord
    mota: str
    sha256: str
    about: dict[str, Any] = field(default_factory=dict)


def state_digest(part: object) -> str | None:
    """SHA-256 (first 16 digits) of a network's state dict; None for a part that has none."""
    return tensors_digest(part.state_dict()) if isinstance(part, nn.Module) else None


def tensors_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 (first 16 digits) of named tensors, their types and shapes."""
    digest = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        digest.update(f"{key}|{value.dtype}|{tuple(value.shape)}|".encode())
        for block in row_blocks(value) if value.ndim else [value]:
            digest.update(block.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def save_adapter(
    folder: Path,
    adapter: Any,
    *,
    inversion: str,
    backbone: Backbone,
    about: Mapping[str, Any],
    inversion_digest: str | None = None,
) -> None:
    """Write an adapter (a module with ``name`` and ``options``) below ``folder``.

    ``inversion`` is the network's name and ``inversion_digest`` its `state_digest`; without the digest, `load_adapter`
    compares names only.
    """
    record = {
        "format": FORMAT,
        "adapter": adapter.name,
        "options": asdict(adapter.options),
        "backbone": asdict(_backbone_record(backbone)),
        "inversion": {"name": inversion, "digest": inversion_digest},
        "mota": __version__,
        "about": dict(about),
    }
    save_weights(folder / WEIGHTS, adapter.state_dict(), record)


def read_adapter_record(folder: Path) -> AdapterRecord:
    """What ``adapter.json`` says; `DataError` where it is missing, damaged or of another format."""
    path = folder / WEIGHTS
    where = path.with_suffix(".json")
    if not path.is_file() or not where.is_file():
        missing = path.name if not path.is_file() else where.name
        raise DataError(f"no adapter in {folder}: {missing} is missing", "give the folder of a finished `mota train`")
    about = read_about(path)
    if about.get("format") != FORMAT:
        hint = "train it again, or use the version of mota that wrote it"
        raise DataError(f"{where}: format {about.get('format')!r} is not {FORMAT}, the one known here", hint)
    try:
        return parse_options(AdapterRecord, about, str(where))
    except UsageError as error:
        raise DataError(error.message, "the file was changed or damaged") from error


def load_adapter(host: PluginHost, folder: Path, backbone: Backbone, inversion: Inversion) -> Adapter:
    """The adapter below ``folder`` on the backbone's device, in eval mode.

    Raises `DataError` for missing or damaged files and for weights whose names or shapes are not the adapter's own,
    `UsageError` where it was trained on another backbone or inversion network.
    """
    record = read_adapter_record(folder)
    _refuse_other_parts(record, folder, backbone, inversion)
    component = host.component("adapters", record.adapter)
    target: Any = component.load()
    where = f"{folder / 'adapter.json'}, options of adapter {record.adapter!r}"
    adapter = component.make(backbone, parse_options(target.Options, record.options, where))
    try:
        state = load_weights(folder / WEIGHTS, f"adapter {record.adapter!r}")
    except DataError as error:
        raise DataError(error.message, "copy the folder again, or train the adapter again") from error
    hint = "the options in adapter.json do not fit these weights"
    refuse_other_weights(adapter.state_dict(), state, folder / WEIGHTS, hint)
    adapter.load_state_dict(state)
    return cast(Adapter, adapter.to(backbone.device).eval().requires_grad_(False))


def _backbone_record(backbone: Backbone) -> BackboneRecord:
    return BackboneRecord(backbone.name, backbone.fingerprint(), backbone.joint_dim, backbone.text_width)


def _refuse_other_parts(record: AdapterRecord, folder: Path, backbone: Backbone, inversion: Inversion) -> None:
    here, there = _backbone_record(backbone), record.backbone
    if here.fingerprint != there.fingerprint:
        raise UsageError(
            f"the adapter in {folder} was trained on backbone {there.name!r} ({there.fingerprint}), "
            f"not on {here.name!r} ({here.fingerprint})",
            "give the --model, --pretrained, --precision and --preprocess it was trained with",
        )
    digest, wanted = state_digest(inversion), record.inversion
    same = inversion.name == wanted.name if wanted.digest is None else digest == wanted.digest
    if not same:
        raise UsageError(
            f"the adapter in {folder} was trained on inversion {wanted.name!r} ({wanted.digest or 'no digest'}), "
            f"not on {inversion.name!r} ({digest or 'no digest'})",
            "give the --inversion, and its weights, that it was trained with",
        )
