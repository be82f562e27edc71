"""What the checks of an adapter look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from motacli.backbones import OpenClipBackbone
from motacli.compose import TokenPrompt
from motacli.inversions.lincir import LinCIR
from motacli.testing.samples import image_features, token_prompts

MOVED = 0.02
"""How far weights are moved from where they start, so that those which start as zeros count."""


@dataclass(frozen=True)
class AdapterSubject:
    """An adapter's class and options, the frozen parts that it works on, and how far its numbers may be apart."""

    factory: Any
    options: Any
    backbone: OpenClipBackbone
    inversion: LinCIR
    devices: tuple[str, ...]
    tolerance: float

    @property
    def given(self) -> Any:
        """The options that it is built with."""
        return self.factory.Options() if self.options is None else self.options

    def make(self) -> Any:
        """A fresh adapter, whose weights are moved a little."""
        made = self.factory(self.backbone, self.given)
        if isinstance(made, nn.Module):
            made.eval()
            with torch.no_grad():
                for weight in made.parameters():
                    weight.add_(MOVED * torch.randn_like(weight))
        return made

    @cached_property
    def adapter(self) -> Any:
        """The one that most checks look at."""
        return self.make()

    @cached_property
    def prompts(self) -> list[TokenPrompt]:
        """Prompts of several lengths."""
        return token_prompts(self.backbone)

    @cached_property
    def features(self) -> Tensor:
        """Image features ``(B, d)``, one for each prompt."""
        return image_features(len(self.prompts), self.backbone.joint_dim)

    def compose(self, rows: slice = slice(None)) -> Tensor:
        """Composed features of some queries."""
        with torch.no_grad():
            made: Tensor = self.adapter.compose(self.backbone, self.inversion, self.features[rows], self.prompts[rows])
        return made
