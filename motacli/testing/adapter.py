"""`check_adapter`: whether an adapter keeps `motacli.contracts.Adapter`, and can be trained, saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from motacli.adapters.files import load_adapter, save_adapter, state_digest
from motacli.contracts import Register
from motacli.hookspecs import hookimpl
from motacli.plugins import PluginHost
from motacli.testing import adapter_training
from motacli.testing.adapter_subject import AdapterSubject
from motacli.testing.checks import Checks, name_of, named, wrong_options
from motacli.testing.findings import Report
from motacli.testing.samples import tiny_inversion
from motacli.testing.tensors import (
    accelerators,
    difference,
    not_movable,
    own_random_numbers,
    unit_length,
    wrong_tensor,
)
from motacli.tiny.clip import load_tiny

checks = Checks[AdapterSubject]()


def check_adapter(
    factory: Any, *, options: Any = None, devices: Sequence[str] | None = None, tolerance: float = 1e-3
) -> Report:
    """Check an adapter's class, which has ``Options`` and is built as ``Class(backbone, options)``.

    It is built on the embedded backbone with ``options``, by default ``Class.Options()``, and its weights are moved a
    little, so that those which start as zeros count. It runs on ``devices`` as well, by default what is here besides
    the CPU. Numbers may differ by ``tolerance`` times the largest.

    Raises `ContractError` with every line that is broken.
    """
    chosen = accelerators() if devices is None else tuple(devices)
    with own_random_numbers():
        backbone = load_tiny()  # a fresh one, for an adapter may break it
        subject = AdapterSubject(factory, options, backbone, tiny_inversion(backbone), chosen, tolerance)
        return CHECKS.run(f"adapter {name_of(factory)}", subject)


@checks.add("Adapter.Options", "Options is a frozen dataclass with defaults", vital=True)
def options(subject: AdapterSubject) -> Iterator[str]:
    """What ``--option`` sets."""
    yield from wrong_options(getattr(subject.factory, "Options", None))


@checks.add("Adapter", "Class(backbone, options) is a torch.nn.Module with a name, and keeps its options", vital=True)
def built(subject: AdapterSubject) -> Iterator[str]:
    """There is something to look at."""
    adapter = subject.adapter
    yield from named(adapter)
    if not isinstance(adapter, nn.Module):
        yield f"it is {type(adapter).__name__}, and not a torch.nn.Module"
    elif getattr(adapter, "options", None) != subject.given:
        yield f"its options are {getattr(adapter, 'options', None)!r}, and {subject.given!r} were given"


@checks.add("Adapter.compose", "features (B, d) and B prompts become composed features (B, d)", vital=True)
def compose(subject: AdapterSubject) -> Iterator[str]:
    """One query and several."""
    backbone = subject.backbone
    for rows in (slice(0, 1), slice(None)):
        features = subject.features[rows]
        composed = subject.compose(rows=rows)
        if said := wrong_tensor(composed, tuple(features.shape), dtype=None, device=backbone.device):
            yield said
            return


@checks.add("Adapter.compose", "composed features are not normalised")
def compose_length(subject: AdapterSubject) -> Iterator[str]:
    """Lengths are those that the text encoder gives."""
    if unit_length(subject.compose()):
        yield "all of them are of length 1"


@checks.add("Adapter.compose", "the same queries give the same features, and what is given stays as it is")
def compose_again(subject: AdapterSubject) -> Iterator[str]:
    """In eval mode nothing is random."""
    before = subject.features.clone()
    first = subject.compose()
    if not torch.equal(subject.features, before):
        subject.features.copy_(before)
        yield "the features that it is given are changed"
    elif said := difference(subject.compose(), first, 1e-6):
        yield f"composed features differ from call to call ({said})"


@checks.add("Adapter.compose", "a query does not depend on the batch that it is in", after="compose_again")
def compose_alone(subject: AdapterSubject) -> Iterator[str]:
    """Prompts of several lengths, together and one by one."""
    alone = torch.cat([subject.compose(rows=slice(row, row + 1)) for row in range(len(subject.features))])
    if said := difference(subject.compose(), alone, subject.tolerance):
        yield f"rows depend on the batch they are in ({said})"


@checks.add("Adapter", "it can be moved to another device whole", after="compose_again")
def moves(subject: AdapterSubject) -> Iterator[str]:
    """Nothing stays behind, and on the devices that are here it computes the same."""
    if said := not_movable(subject.adapter):
        yield said
        return
    for device in subject.devices:
        backbone = load_tiny(device=device)
        adapter = subject.factory(backbone, subject.given).to(device).eval()
        adapter.load_state_dict(subject.adapter.state_dict())
        inversion = tiny_inversion(backbone)
        with torch.no_grad():
            composed = adapter.compose(backbone, inversion, subject.features.to(device), subject.prompts)
        if said := difference(composed, subject.compose(), 10 * subject.tolerance):
            yield f"on {device} composed features differ ({said})"


@checks.add("Adapter", "options and weights are all that it is: saved and loaded it is the same", after="compose_again")
def saved(subject: AdapterSubject) -> Iterator[str]:
    """Through the files of ``mota train``."""
    adapter, backbone, inversion = subject.adapter, subject.backbone, subject.inversion
    digest = state_digest(inversion)
    with TemporaryDirectory() as folder:
        save_adapter(
            Path(folder), adapter, inversion=inversion.name, backbone=backbone, about={}, inversion_digest=digest
        )
        loaded = load_adapter(_host_of(subject), Path(folder), backbone, inversion)
    with torch.no_grad():
        composed = loaded.compose(backbone, inversion, subject.features, subject.prompts)
    if said := difference(composed, subject.compose(), 0):
        yield f"composed features differ after saving and loading ({said})"


def _host_of(subject: AdapterSubject) -> PluginHost:
    """A host that knows this adapter alone, by the name that its file will hold."""

    def register_adapters(register: Register) -> None:
        register(subject.adapter.name, subject.factory)

    host = PluginHost(lambda line: None)
    host.add("checked", lambda: SimpleNamespace(register_adapters=hookimpl(register_adapters)))
    return host


CHECKS = Checks(checks, adapter_training.checks)
