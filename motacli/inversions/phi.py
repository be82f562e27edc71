"""The network that SEARLE (Baldrati et al., ICCV 2023) and LinCIR (Gu et al., CVPR 2024) share."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from motacli.inversions.sizes import Sizes


class Phi(nn.Module):
    """``d -> 4d -> 4d -> w`` with GELU and dropout between. Keys as in the authors' files."""

    name = "phi"

    def __init__(self, *, joint_dim: int, text_width: int, hidden: int | None = None, dropout: float = 0.5) -> None:
        super().__init__()
        hidden = 4 * joint_dim if hidden is None else hidden
        self.layers = nn.Sequential(
            nn.Linear(joint_dim, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, text_width),
        )

    @classmethod
    def sizes(cls, state: Mapping[str, Tensor]) -> Sizes:
        """The sizes of the network that a state dict belongs to; `DataError` where it is no network of this kind."""
        return Sizes.of(state, first="layers.0.weight", last="layers.6.weight")

    def forward(self, features: Tensor) -> Tensor:
        """Image features ``(B, d)``, not normalised, to pseudo-words ``(B, 1, w)``."""
        out: Tensor = self.layers(features)
        return out[:, None]
