"""Modality distribution modulation (MoTa-Adapter, image side): a learnable scale and shift before the inversion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motacli.errors import UnknownNameError
from motacli.rows_on_disk import root_mean_square

FORMS = ("none", "static", "conditional")


class MDM(nn.Module):
    """``v' = gamma * v + beta`` on image features ``(B, d)``, the identity before training.

    [paper] a learnable scale and shift before the inversion network that also draws on the image's own information.
    [ours] ``static`` learns two vectors; ``conditional`` adds to them what a bottleneck MLP reads off ``v`` itself; its
    last layer starts at zero. The shift is measured in ``unit``, the root mean square of the training features'
    entries, so that one learning rate suits every backbone.
    """

    unit: Tensor

    def __init__(self, dim: int, form: str = "conditional", bottleneck: int = 16) -> None:
        super().__init__()
        if form not in FORMS:
            raise UnknownNameError("MDM form", form, FORMS)
        self.form = form
        self.register_buffer("unit", torch.ones(()))
        if form != "none":
            self.gamma = nn.Parameter(torch.zeros(dim))
            self.beta = nn.Parameter(torch.zeros(dim))
        if form == "conditional":
            first, last = nn.Linear(dim, bottleneck), nn.Linear(bottleneck, 2 * dim)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.read = nn.Sequential(first, nn.GELU(), last)

    def calibrate(self, features: Tensor) -> None:
        """Set ``unit`` from training features ``(N, d)``."""
        self.unit.fill_(root_mean_square(features))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, d)`` to modulated features ``(B, d)``."""
        if self.form == "none":
            return features
        gamma, beta = self.gamma, self.beta  # (d,)
        if self.form == "conditional":
            more = self.read(features / self.unit)  # (B, 2d)
            gamma, beta = gamma + more[:, : len(self.gamma)], beta + more[:, len(self.gamma) :]
        return (1 + gamma) * features + beta * self.unit
