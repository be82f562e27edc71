"""A network from its weights, whatever its width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from motacli.inversions.sizes import Sizes
from motacli.weights import refuse_other_weights


def sizes_of(build: Any, state: Mapping[str, Tensor]) -> Sizes | None:
    """What a class's ``sizes`` makes of weights, with the `DataError` it has for others'; None where it has none."""
    read: Callable[[Mapping[str, Tensor]], Sizes] | None = getattr(build, "sizes", None)
    return None if read is None else read(state)


def outline(build: Callable[..., Any], sizes: Sizes) -> nn.Module:
    """The network of these sizes without memory for its weights: all names and shapes, however large they are."""
    with torch.device("meta"):
        return cast(nn.Module, build(**asdict(sizes)))


def build_network(build: Callable[..., Any], sizes: Sizes, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """The network of these sizes with the weights read from ``path``, on the CPU; `DataError` unless they fit."""
    _refuse_others(outline(build, sizes), state, path)
    phi: nn.Module = build(**asdict(sizes))
    phi.load_state_dict(dict(state))
    return phi


def load_weights_into(phi: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that were read from ``path``; `DataError` unless their names and shapes are the network's own."""
    _refuse_others(phi, state, path)
    phi.load_state_dict(dict(state))


def _refuse_others(phi: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    refuse_other_weights(phi.state_dict(), state, path, f"these are not the weights of inversion {phi.name!r}")
