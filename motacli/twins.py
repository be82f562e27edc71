"""A network's twin: the same computation with some weights replaced, while the network itself stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TypeVar

from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def twin(network: Network, weights: Mapping[str, Tensor]) -> Network:
    """What computes as ``network`` does, with ``weights``, named as in ``named_parameters()``, in place of its own.

    It shares every other tensor and every branch without replacements, so making one costs next to nothing. The
    weights may be anything that gradients flow to. Unlike `torch.func.functional_call`, which exchanges the network's
    own weights for the time of a call, nothing that others hold is written to, not even for a moment. [ours]
    """
    made = copy(network)
    below = {name: _within(name, weights) for name in network._modules}
    made._parameters = {name: weights.get(name, own) for name, own in network._parameters.items()}  # type: ignore[misc]
    made._modules = {
        name: twin(child, below[name]) if child is not None and below[name] else child
        for name, child in network._modules.items()
    }
    return made


def _within(name: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the child ``name``, by their names in it."""
    return {key[len(name) + 1 :]: weight for key, weight in weights.items() if key.startswith(f"{name}.")}
