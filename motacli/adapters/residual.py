"""A residual MLP on the composed feature, after CLIP-Adapter (Gao et al., IJCV 2024, arXiv 2110.04544)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from motacli.adapters.unmixed import Unmixed
from motacli.compose import TokenPrompt, compose_base
from motacli.contracts import Backbone, Inversion


@dataclass(frozen=True)
class ResidualOptions:
    """``reduction``: the feature's width over the bottleneck's. ``ratio``: how much of the MLP is added.

    The values are CLIP-Adapter's.
    """

    reduction: int = 4
    ratio: float = 0.2

    def __post_init__(self) -> None:
        if self.reduction < 1:
            raise ValueError(f"reduction {self.reduction} is below 1")
        if not self.ratio > 0:
            raise ValueError(f"ratio {self.ratio} adds nothing; it must be above 0")


class Residual(Unmixed):
    """``q' = q + ratio * s * MLP(q / s)`` on the base model's composed feature ``q``.

    [CLIP-Adapter] a bottleneck of two layers whose output is mixed with the frozen feature by a fixed ratio.
    [ours] that it stands behind the text tower, on composed features; that the MLP is added to ``q`` and does not take
    a part of its place, and its last layer starts at zero: the identity before training; that it works in units ``s``,
    the root mean square of each feature's own entries, so that one learning rate suits every backbone.
    """

    name = "residual"
    Options = ResidualOptions

    def __init__(self, backbone: Backbone, options: ResidualOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or ResidualOptions()
        width, narrow = backbone.joint_dim, max(backbone.joint_dim // options.reduction, 1)
        last = nn.Linear(narrow, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mlp = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(), last)

    def compose(
        self, backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]
    ) -> Tensor:
        """Composed features ``(B, d)``, not normalised."""
        base = compose_base(backbone, inversion, features, prompts)
        size = base.pow(2).mean(1, keepdim=True).sqrt().clamp(min=1e-12)  # (B, 1)
        return base + self.options.ratio * size * self.mlp(base / size)
