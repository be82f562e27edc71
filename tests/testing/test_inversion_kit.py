"""Each check of `check_inversion` finds an inversion that breaks just its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from wrong import Wrong, assert_that_line, breaches

from motacli.inversions.sizes import Sizes
from motacli.testing import check_inversion
from motacli.testing.inversion import CHECKS


@dataclass(frozen=True)
class Options:
    """Options of a training that is none."""

    scale: float = 1.0


class Right(nn.Module):
    """An inversion that is right."""

    name = "right"
    Options: Any = Options

    def __init__(self, *, joint_dim: int, text_width: int, hidden: int = 8) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(joint_dim, hidden), nn.Linear(hidden, text_width)

    @classmethod
    def sizes(cls, state: Mapping[str, Tensor]) -> Sizes:
        return Sizes.of(state, first="first.weight", last="last.weight")

    @classmethod
    def fit(cls, backbone: Any, data: Any, options: Any, watch: Any = None) -> tuple[Any, dict[str, Any]]:
        torch.manual_seed(0)
        phi = cls(joint_dim=backbone.joint_dim, text_width=backbone.text_width)
        phi.eval().requires_grad_(False)
        return phi, {"loss": 0.0, "recall_at_1": 0.0, "rows": len(data), "steps": 0, "seconds": 0.0, "history": {}}

    def forward(self, features: Tensor) -> Tensor:
        words: Tensor = self.last(self.first(features).tanh())
        return words[:, None]


def sub(**members: Any) -> type[Right]:
    return type("Sub", (Right,), members)


def changed(change: Any) -> type[Right]:
    """An inversion whose pseudo-words are ``change(self, right pseudo-words, features)``."""
    return sub(forward=lambda self, features: change(self, Right.forward(self, features), features))


class Counting(Right):
    calls = 0

    def forward(self, features: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(features) + self.calls


class Writing(Right):
    def forward(self, features: Tensor) -> Tensor:
        words = super().forward(features)
        if not features.requires_grad:
            features.mul_(1.01)
        return words


class Narrow(Right):
    def __init__(self, *, joint_dim: int, text_width: int, hidden: int = 8) -> None:
        super().__init__(joint_dim=joint_dim, text_width=160, hidden=hidden)


class Staying(Right):
    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.offset = torch.ones(1)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) + self.offset


class Forgetting(Right):
    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.register_buffer("scale", torch.rand(1), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) * self.scale


@dataclass
class Thawed:
    scale: float = 1.0


@dataclass(frozen=True)
class Needing:
    scale: float


def fitted(change: Any) -> type[Right]:
    """An inversion whose training gives ``change(network, record)``."""

    def fit(cls: Any, *arguments: Any) -> Any:
        return change(*Right.fit.__func__(cls, *arguments))  # type: ignore[attr-defined]

    return sub(fit=classmethod(fit))


def drawn(phi: Any, record: Any) -> Any:
    """Another network each time."""
    torch.seed()
    with torch.no_grad():
        phi.last.bias.add_(torch.rand(1))
    return phi, record


WRONG = (
    Wrong("built", lambda **sizes: None, "name is None"),
    Wrong("built", sub(__init__=lambda self, joint_dim: None), "raises TypeError"),
    Wrong("pseudo_words", changed(lambda self, words, _: words[:, 0]), "gives shape (1, 160)"),
    Wrong("pseudo_words", changed(lambda self, words, x: words.expand(-1, len(x), -1)), "gives 1 or 3 pseudo-words"),
    Wrong("other_sizes", Narrow, "built for 24 and 40, it gives (2, 1, 160)"),
    Wrong("pseudo_words_again", Counting, "differ from call to call"),
    Wrong("pseudo_words_again", Writing, "the features that it is given are changed"),
    Wrong(
        "pseudo_words_alone",
        changed(lambda self, words, _: words - words.mean(0) / 2),
        "rows depend on the batch they are in",
    ),
    Wrong("gradients", changed(lambda self, words, _: words.detach()), "no gradient reaches the features"),
    Wrong("moves", Staying, "offset would stay behind"),
    Wrong("saved", Forgetting, "differ after saving and loading"),
    Wrong("sizes", sub(sizes=classmethod(lambda cls, state: _swapped(state))), "tells 40 and 24"),
    Wrong("sizes_of_others", sub(sizes=classmethod(lambda cls, state: _trusting(state))), "of weights named nothing"),
    Wrong("options", sub(Options=Thawed), "Options is not frozen"),
    Wrong("options", sub(Options=Needing), "Options has no default for scale"),
    Wrong("options", sub(Options=None), "Options is None"),
    Wrong("fit", fitted(lambda phi, record: (phi.train(), record)), "not in eval mode"),
    Wrong("fit", fitted(lambda phi, record: (phi.requires_grad_(), record)), "not frozen"),
    Wrong("fit_record", fitted(lambda phi, record: (phi, {"loss": 0.0})), "the record lacks rows"),
    Wrong("fit_again", fitted(drawn), "two trainings give two networks"),
)


def _swapped(state: Mapping[str, Tensor]) -> Sizes:
    told = Right.sizes(state)
    return Sizes(told.text_width, told.joint_dim, told.hidden) if told.joint_dim == 24 else told


def _trusting(state: Mapping[str, Tensor]) -> Sizes:
    return Right.sizes(state) if "first.weight" in state else Sizes(1, 1, 1)


def test_a_right_inversion_passes_all() -> None:
    report = check_inversion(Right)
    assert report.passed == tuple(CHECKS.all) and not report.left_out


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_inversion_is_found_out(wrong: Wrong) -> None:
    assert_that_line(breaches(lambda: check_inversion(wrong.make)), wrong, CHECKS.all[wrong.check].line)


def test_every_check_can_fail() -> None:
    assert {wrong.check for wrong in WRONG} == set(CHECKS.all)


def test_one_that_fails_on_a_device_is_found_out() -> None:
    """The CPU stands in for a device: what is moved there is another."""
    moved = sub(to=lambda self, device: Counting(joint_dim=128, text_width=160))
    error = breaches(lambda: check_inversion(moved, devices=["cpu"]))
    assert "on cpu pseudo-words differ" in str(error)
