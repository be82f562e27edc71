"""What two trainings of one network are compared by: losses, and the gradients of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Descent:
    """The loss of each step, and the gradients of the last one by the parameters' names, before any clipping."""

    losses: Sequence[float]
    gradients: dict[str, Tensor]


def keep_gradients(network: nn.Module) -> dict[str, Tensor]:
    """Filled at every backward pass."""
    kept: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        parameter.register_post_accumulate_grad_hook(partial(_keep, kept, name))
    return kept


def relative_difference(ours: Descent, baseline: Descent) -> float:
    """The largest among losses and parameters, each by the baseline's size; not finite where there is no telling."""
    if ours.gradients.keys() != baseline.gradients.keys() or len(ours.losses) != len(baseline.losses):
        return float("inf")
    pairs = [(ours.gradients[name], baseline.gradients[name]) for name in baseline.gradients]
    pairs += [(torch.tensor(a), torch.tensor(b)) for a, b in zip(ours.losses, baseline.losses, strict=True)]
    return float(torch.stack([_apart(a, b) for a, b in pairs]).max())


def _keep(kept: dict[str, Tensor], name: str, parameter: Tensor) -> None:
    if parameter.grad is not None:
        kept[name] = parameter.grad.clone()


def _apart(a: Tensor, b: Tensor) -> Tensor:
    difference = (a - b).norm()
    return difference if bool(difference == 0) else difference / b.norm()
