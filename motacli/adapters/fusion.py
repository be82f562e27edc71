"""Late fusion within the adapter: the reference's image feature is added to the composed query. [ours]"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.errors import UnknownNameError

FORMS = ("none", "fixed", "validated", "learned")
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))
"""What a validated weight is chosen from."""


class Fusion(nn.Module):
    """``q' = q / |q| + weight * v / |v|`` for composed features and image features ``(B, d)``.

    ``fixed``: the weight is what it was set to, in training too. ``learned``: it starts there and learns with the rest.
    ``validated``: training goes without, and the weight is chosen afterwards on a benchmark (`choose_weight`).
    """

    weight: Tensor

    def __init__(self, form: str = "none", weight: float = 0.5) -> None:
        super().__init__()
        if form not in FORMS:
            raise UnknownNameError("form of fusion", form, FORMS)
        self.form = form
        if form == "learned":
            self.weight = nn.Parameter(torch.tensor(weight))
        elif form != "none":
            self.register_buffer("weight", torch.tensor(0.0 if form == "validated" else weight))

    def forward(self, composed: Tensor, features: Tensor) -> Tensor:
        """Composed features ``(B, d)`` with the picture in them, not normalised."""
        if self.form == "none" or (self.form == "validated" and self.training):
            return composed
        return F.normalize(composed, dim=1) + self.weight * F.normalize(features, dim=1).to(composed.dtype)


@torch.no_grad()
def choose_weight(fusion: Fusion, score: Callable[[], float]) -> float:
    """Set the weight, among `WEIGHTS`, with the highest ``score()``; the smallest of equals. Returns it."""
    scores = {}
    for weight in WEIGHTS:
        fusion.weight.fill_(weight)
        scores[weight] = score()
    best = max(WEIGHTS, key=lambda weight: (scores[weight], -weight))
    fusion.weight.fill_(best)
    return best
