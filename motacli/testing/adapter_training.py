"""Checks of what ``mota train`` asks of an adapter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from motacli.adapters.frozen_half import TripletFeatures
from motacli.adapters.options import TrainOptions
from motacli.adapters.training import train_adapter
from motacli.testing.adapter_subject import AdapterSubject
from motacli.testing.checks import Checks
from motacli.testing.tensors import difference

checks = Checks[AdapterSubject]()
STEPS = TrainOptions(steps=3, batch_size=3, warmup=0, lr=1e-2)


@checks.add(
    "Adapter.__call__", "it gives what compose gives, and gates (B, K) whose rows sum to 1", after="compose_again"
)
def gates(subject: AdapterSubject) -> Iterator[str]:
    """The call that trainings make; an adapter without experts gives gates ``(B, 1)`` of one."""
    with torch.no_grad():
        made = subject.adapter(subject.backbone, subject.inversion, subject.features, subject.prompts)
    if not isinstance(made, tuple) or len(made) != 2 or not all(isinstance(part, Tensor) for part in made):
        yield f"gives {type(made).__name__}, and not two tensors"
        return
    composed, mixed = made
    if said := difference(composed, subject.compose(), subject.tolerance):
        yield f"composed features are not those of compose ({said})"
    if mixed.ndim != 2 or len(mixed) != len(subject.features):
        yield f"gates are of shape {tuple(mixed.shape)}"
    elif said := difference(mixed.sum(1), torch.ones(len(mixed)), 1e-4):
        yield f"rows of gates do not sum to 1 ({said})"


@checks.add("Adapter.trainable_parameters", "it counts what learns")
def trainable_parameters(subject: AdapterSubject) -> Iterator[str]:
    """The number that tables of adapters show."""
    count = subject.adapter.trainable_parameters()
    learning = sum(weight.numel() for weight in subject.adapter.parameters() if weight.requires_grad)
    if count != learning:
        yield f"it gives {count!r}, and {learning} numbers learn"


@checks.add("Adapter", "it learns: gradients reach each of its parameters", after="gates")
def learns(subject: AdapterSubject) -> Iterator[str]:
    """One backward pass in training mode, at weights that are not those of the start."""
    adapter = subject.make().train()
    if not list(adapter.parameters()):
        yield "it has no parameters"
        return
    composed, mixed = adapter(subject.backbone, subject.inversion, subject.features, subject.prompts)
    if composed.requires_grad:
        (composed.float().square().sum() + mixed.square().sum()).backward()
    idle = [name for name, weight in adapter.named_parameters() if weight.requires_grad and weight.grad is None]
    if idle:
        yield f"no gradient reaches {', '.join(idle)}"


@checks.add("Adapter", "backbone and inversion stay frozen while it is trained", after="gates learns")
def frozen_parts(subject: AdapterSubject) -> Iterator[str]:
    """A few steps of a training, and what is frozen before and after."""
    for what, network in (("backbone", subject.backbone.model), ("inversion", subject.inversion)):
        before = {name: value.clone() for name, value in network.state_dict().items()}
        _train(subject)
        for name, value in network.state_dict().items():
            if said := difference(value, before[name], 0):
                yield f"weight {name} of the {what} is changed ({said})"
        reached = [n for n, weight in network.named_parameters() if weight.requires_grad or weight.grad is not None]
        if reached:
            yield f"gradients reach {reached[0]} of the {what}"


@checks.add("Adapter", "the same data, options and seed train the same weights", after="frozen_parts")
def trains_again(subject: AdapterSubject) -> Iterator[str]:
    """Two trainings that start from the same weights."""
    one, two = _train(subject), _train(subject)
    for name, value in one.items():
        if said := difference(two[name], value, 0):
            yield f"{name} is not the same after two trainings ({said})"


def _train(subject: AdapterSubject) -> dict[str, Tensor]:
    """The weights after a few steps of ``mota train`` from those of the start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapter: Any = subject.factory(subject.backbone, subject.given)
        train_adapter(adapter, subject.backbone, subject.inversion, _triplets(subject), STEPS)
    return {name: value.detach().clone() for name, value in adapter.state_dict().items()}


def _triplets(subject: AdapterSubject) -> TripletFeatures:
    target, reference = subject.features.roll(1, 0), subject.features.roll(2, 0)
    return TripletFeatures(subject.features, tuple(subject.prompts), target, reference)
