"""Checks of `motacli.contracts.TrainableInversion`, for inversions whose class has ``fit``."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from motacli.testing.checks import Checks, LeftOut, wrong_options
from motacli.testing.inversion_subject import InversionSubject
from motacli.testing.tensors import difference

checks = Checks[InversionSubject]()
RECORD = ("loss", "recall_at_1", "rows", "steps", "seconds", "history")


@checks.add("TrainableInversion.Options", "Options is a frozen dataclass with defaults")
def options(subject: InversionSubject) -> Iterator[str]:
    """It can be made of nothing, and does not change."""
    _needs_fit(subject)
    yield from wrong_options(getattr(subject.factory, "Options", None))


@checks.add("TrainableInversion.fit", "it gives a trained network, frozen and in eval mode", after="options")
def fit(subject: InversionSubject) -> Iterator[str]:
    """What comes of a short training."""
    network, _ = subject.trained
    if not isinstance(network, nn.Module):
        yield f"gives {type(network).__name__}, not a torch.nn.Module"
        return
    if network.training:
        yield "the network is not in eval mode"
    if any(weight.requires_grad for weight in network.parameters()):
        yield "the network is not frozen"
    if not all(weight.isfinite().all() for weight in network.parameters()):
        yield "the network has weights that are not finite"


@checks.add("TrainableInversion.fit", f"its record holds {', '.join(RECORD)}", after="options")
def fit_record(subject: InversionSubject) -> Iterator[str]:
    """What ``mota train-inversion`` writes down."""
    _, record = subject.trained
    for name in RECORD:
        if name not in record:
            yield f"the record lacks {name}"


@checks.add("TrainableInversion.fit", "the same data, options and seed give the same network", after="fit")
def fit_again(subject: InversionSubject) -> Iterator[str]:
    """Whatever random numbers were drawn before."""
    torch.rand(7)
    (one, _), (other, _) = subject.trained, subject.train()
    if said := difference(other(subject.features()), one(subject.features()), 1e-6):
        yield f"two trainings give two networks ({said})"


def _needs_fit(subject: InversionSubject) -> None:
    if not hasattr(subject.factory, "fit"):
        raise LeftOut("its class has no fit")
