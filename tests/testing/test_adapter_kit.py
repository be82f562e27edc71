"""Each check of `check_adapter` finds an adapter that breaks just its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from wrong import Wrong, assert_that_line, breaches

from motacli.adapters.unmixed import Unmixed
from motacli.compose import compose_base
from motacli.testing import check_adapter
from motacli.testing.adapter import CHECKS


@dataclass(frozen=True)
class Options:
    """Options of a small adapter."""

    scale: float = 1.0


class Right(Unmixed):
    """An adapter that is right: it adds a vector to the base model's composed features."""

    name = "right"
    Options: Any = Options

    def __init__(self, backbone: Any, options: Any = None) -> None:
        super().__init__()
        self.options = options
        self.shift = nn.Parameter(torch.zeros(backbone.joint_dim))

    def compose(self, backbone: Any, inversion: Any, features: Tensor, prompts: Any) -> Tensor:
        return compose_base(backbone, inversion, features, prompts) + self.shift


def sub(**members: Any) -> type[Right]:
    return type("Sub", (Right,), members)


def composing(change: Any) -> type[Right]:
    """An adapter whose composed features are ``change(self, right ones)``."""
    return sub(compose=lambda self, *given: change(self, Right.compose(self, *given)))


class Counting(Right):
    calls = 0

    def compose(self, *given: Any) -> Tensor:
        self.calls += 1
        return super().compose(*given) + self.calls


class Writing(Right):
    def compose(self, backbone: Any, inversion: Any, features: Tensor, prompts: Any) -> Tensor:
        features.mul_(1.01)
        return super().compose(backbone, inversion, features, prompts)


class Staying(Right):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.mask = torch.ones(1)


class Forgetting(Right):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.factor = float(torch.rand(1))

    def compose(self, *given: Any) -> Tensor:
        return super().compose(*given) * self.factor


class Idle(Right):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.unused = nn.Parameter(torch.zeros(1))


class Breaking(Right):
    def forward(self, backbone: Any, *given: Any) -> Any:
        if self.training:
            with torch.no_grad():
                backbone.model.logit_scale.add_(1e-3)
        return super().forward(backbone, *given)


class Random(Right):
    def forward(self, *given: Any) -> Any:
        composed, gates = super().forward(*given)
        return composed + (torch.rand(1, generator=NOISE) * self.shift if self.training else 0), gates


NOISE = torch.Generator()


def with_gates(change: Any) -> type[Right]:
    return sub(forward=lambda self, *given: change(*Right.forward(self, *given)))


@dataclass
class Thawed:
    scale: float = 1.0


class Plain:
    """No network."""

    name, Options = "plain", Options

    def __init__(self, backbone: Any, options: Any) -> None:
        self.options = options


WRONG = (
    Wrong("options", sub(Options=Thawed), "Options is not frozen"),
    Wrong("options", sub(Options=None), "Options is None"),
    Wrong("built", sub(name=""), "name is ''"),
    Wrong("built", Plain, "it is Plain, and not a torch.nn.Module"),
    Wrong("built", sub(options=property(lambda self: 3, lambda self, value: None)), "options are 3"),
    Wrong("compose", composing(lambda self, made: made[:, 1:]), "gives shape (1, 127), not (1, 128)"),
    Wrong("compose_length", composing(lambda self, made: F.normalize(made, dim=1)), "all of them are of length 1"),
    Wrong("compose_again", Counting, "differ from call to call"),
    Wrong("compose_again", Writing, "the features that it is given are changed"),
    Wrong(
        "compose_alone", composing(lambda self, made: made - made.mean(0) / 2), "rows depend on the batch they are in"
    ),
    Wrong("moves", Staying, "mask would stay behind"),
    Wrong("saved", Forgetting, "differ after saving and loading"),
    Wrong("gates", with_gates(lambda composed, gates: composed), "gives Tensor, and not two tensors"),
    Wrong("gates", with_gates(lambda composed, gates: (2 * composed, gates)), "not those of compose"),
    Wrong("gates", with_gates(lambda composed, gates: (composed, 2 * gates)), "do not sum to 1"),
    Wrong("trainable_parameters", sub(trainable_parameters=lambda self: 7), "it gives 7, and 128 numbers learn"),
    Wrong("learns", Idle, "no gradient reaches unused"),
    Wrong("frozen_parts", Breaking, "weight logit_scale of the backbone is changed"),
    Wrong("trains_again", Random, "is not the same after two trainings"),
)


def test_a_right_adapter_passes_all() -> None:
    report = check_adapter(Right)
    assert report.passed == tuple(CHECKS.all) and not report.left_out


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_adapter_is_found_out(wrong: Wrong) -> None:
    assert_that_line(breaches(lambda: check_adapter(wrong.make)), wrong, CHECKS.all[wrong.check].line)


def test_every_check_can_fail() -> None:
    assert {wrong.check for wrong in WRONG} == set(CHECKS.all)
