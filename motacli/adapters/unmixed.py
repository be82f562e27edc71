"""What adapters have in common that mix nothing: a call that gives gates of one, and the count of what learns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from motacli.compose import TokenPrompt
from motacli.contracts import Backbone, Inversion


class Unmixed(nn.Module):
    """An adapter without experts; a subclass says how it composes."""

    def compose(
        self, backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]
    ) -> Tensor:
        """Image features ``(B, d)`` and ``B`` prompts to composed features ``(B, d)``, not normalised."""
        raise NotImplementedError

    def forward(
        self, backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]
    ) -> tuple[Tensor, Tensor]:
        """Composed features ``(B, d)`` as `compose` gives them, and gates ``(B, 1)`` of one."""
        composed = self.compose(backbone, inversion, features, prompts)
        return composed, torch.ones(len(composed), 1, device=composed.device)

    def trainable_parameters(self) -> int:
        """How many numbers the adapter learns."""
        return sum(p.numel() for p in self.parameters())
