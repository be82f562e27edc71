"""Any file of an inversion network to the network, without a backbone to go by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from motacli.errors import DataError
from motacli.fetch import local_weights
from motacli.inversions.checkpoints import AGAIN, read_checkpoint
from motacli.inversions.detect import detect
from motacli.inversions.files import InversionRecord, read_record, run_weights
from motacli.inversions.networks import build_network, load_weights_into, sizes_of
from motacli.plugins import PluginHost, load_plugins


def load_inversion(path: Path | str, host: PluginHost | None = None) -> nn.Module:
    """The inversion network in a file, frozen and in eval mode, on the CPU.

    It maps image features ``(B, d)``, not normalised, to pseudo-words ``(B, n, w)``; ``n`` is 1 for Pic2Word, SEARLE
    and LinCIR. ``path`` is a file or the address of one (`motacli.fetch`), or the folder of a ``mota train-inversion``.
    Files may be our own, the authors' as they released them (SEARLE, LinCIR, Pic2Word, their training checkpoints
    included), or plain state dicts, of any width.

    Our own files say which network they hold; for others it is found by the names and shapes of the weights, among the
    inversions of ``host``, by default those that come with mota. SEARLE and LinCIR share one network, so a file that
    does not say which of them it is gives one whose ``name`` is "phi".

    Raises `DataError` where a file holds no such network, or is damaged; `UnknownNameError` where our own file names an
    inversion that ``host`` does not have.
    """
    host = host or load_plugins(entry_points=[])
    path = local_weights(path)
    if path.is_dir():
        _, path = run_weights(path)
    record = read_record(path)
    phi = _detected(path, host) if record is None else _recorded(path, record, host)
    return phi.eval().requires_grad_(False)


def _detected(path: Path, host: PluginHost) -> nn.Module:
    state = read_checkpoint(path).state
    network = detect(host, state, path)
    return build_network(network.factory, network.sizes, state, path)


def _recorded(path: Path, record: InversionRecord, host: PluginHost) -> nn.Module:
    factory: Any = host.component("inversions", record.name).load()
    state = read_checkpoint(path).state
    sizes = sizes_of(factory, state)
    if sizes is None:
        phi: nn.Module = factory(joint_dim=record.joint_dim, text_width=record.text_width)
        load_weights_into(phi, state, path)
        return phi
    if (sizes.joint_dim, sizes.text_width) != (record.joint_dim, record.text_width):
        here, there = f"{sizes.joint_dim} to {sizes.text_width}", f"{record.joint_dim} to {record.text_width}"
        raise DataError(f"{path} maps features of {here}, and its JSON says {there}", AGAIN)
    return build_network(factory, sizes, state, path)
