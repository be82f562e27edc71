"""Pic2Word (Saito et al., CVPR 2023): a picture's pseudo-word in "a photo of [s]" must point back at the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.contracts import Backbone
from motacli.inversions.data import PairFeatures, photo_prompt, spliced_features


class Pic2Word(nn.Module):
    """``d -> 512 -> 512 -> w``; each hidden block is linear, dropout, ReLU in that order. Keys as in the authors' files."""

    name = "pic2word"

    def __init__(self, *, joint_dim: int, text_width: int, hidden: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        widths = [joint_dim, hidden, hidden]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(a, b), nn.Dropout(dropout), nn.ReLU())
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.fc_out = nn.Linear(hidden, text_width)

    def forward(self, features: Tensor) -> Tensor:
        """Image features ``(B, d)``, not normalised, to pseudo-words ``(B, 1, w)``."""
        for layer in self.layers:
            features = layer(features)  # (B, 512)
        out: Tensor = self.fc_out(features)
        return out[:, None]


class Pic2WordObjective:
    """Symmetric InfoNCE between pictures and "a photo of [phi(v)]" at the backbone's frozen temperature."""

    def __init__(self, backbone: Backbone, data: PairFeatures) -> None:
        self.backbone = backbone
        self.image = data.image
        self.prompt = photo_prompt(backbone)

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor:
        """Rows ``(B,)`` of the pictures to a loss."""
        image = self.image[rows]
        text = spliced_features(self.backbone, [self.prompt] * len(rows), phi(image))
        logits = self.backbone.logit_scale * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
        target = torch.arange(len(rows))
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
