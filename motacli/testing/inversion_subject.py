"""What the checks of an inversion look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from motacli.contracts import Backbone
from motacli.testing.checks import LeftOut
from motacli.testing.samples import image_features, pair_features

ROWS = 3


@dataclass(frozen=True)
class InversionSubject:
    """A class or function that makes inversions, the backbone that they are for, and options to train one with."""

    factory: Any
    backbone: Backbone
    options: Any
    devices: tuple[str, ...]
    tolerance: float

    @property
    def has_weights(self) -> bool:
        """Whether its inversions have weights, and are not made by ``for_backbone``."""
        return not hasattr(self.factory, "for_backbone")

    def make(self, joint_dim: int | None = None, text_width: int | None = None) -> Any:
        """A fresh one, for the backbone unless sizes are given; in eval mode."""
        if self.has_weights:
            backbone = self.backbone
            made = self.factory(joint_dim=joint_dim or backbone.joint_dim, text_width=text_width or backbone.text_width)
        else:
            made = self.factory.for_backbone(self.backbone)
        return made.eval() if isinstance(made, nn.Module) else made

    @cached_property
    def inversion(self) -> Callable[[Tensor], Tensor]:
        """The one that most checks look at."""
        made: Callable[[Tensor], Tensor] = self.make()
        return made

    @property
    def network(self) -> nn.Module:
        """The same as a network with weights; a check of those is left out for any other."""
        if not self.has_weights:
            raise LeftOut("it has no weights: for_backbone makes it")
        if not isinstance(self.inversion, nn.Module):
            raise LeftOut("it is no torch.nn.Module")
        return self.inversion

    def features(self) -> Tensor:
        """Image features ``(ROWS, d)``."""
        return image_features(ROWS, self.backbone.joint_dim)

    def train(self) -> tuple[Any, Any]:
        """A network and the record of its training, on a few captions and features."""
        options = self.factory.Options() if self.options is None else self.options
        made: tuple[Any, Any] = self.factory.fit(self.backbone, pair_features(self.backbone), options)
        return made

    @cached_property
    def trained(self) -> tuple[Any, Any]:
        """What the first training made."""
        return self.train()
