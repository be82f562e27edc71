"""Pic2Word (Saito et al., CVPR 2023): a picture's pseudo-word in "a photo of [s]" must point back at the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.contracts import Backbone
from motacli.inversions.data import PairFeatures, photo_prompt, require_images, spliced_features
from motacli.inversions.sizes import Sizes
from motacli.inversions.training import InversionOptions, fit_network, require
from motacli.watch import Watch


@dataclass(frozen=True)
class Pic2WordOptions(InversionOptions):
    """Pic2Word's training, by its authors' recipe: 30 epochs of CC3M's 3 million pictures.

    ``batch_size`` is their global batch of 8 GPUs, each of which contrasted 128 pictures with all others. Two options
    are ours, and off: ``sharpness`` multiplies the backbone's frozen logit scale, which tells pictures apart so well
    that training stops early where they are few and simple; ``word_penalty`` weighs the mean square of pseudo-words'
    coordinates, for large ones do not compose.
    """

    epochs: int = 30
    batch_size: int = 1024
    wd: float = 0.1
    warmup: int = 10_000
    schedule: Literal["constant", "cosine"] = "cosine"
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    dropout: float = 0.1
    sharpness: float = 1.0
    word_penalty: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.sharpness > 0, f"sharpness must be positive, not {self.sharpness}")
        require(self.word_penalty >= 0, f"word_penalty must not be negative: {self.word_penalty}")


class Pic2Word(nn.Module):
    """``d -> 512 -> 512 -> w``; hidden blocks are linear, dropout, ReLU. Keys as in the authors' files."""

    name = "pic2word"
    Options = Pic2WordOptions

    def __init__(self, *, joint_dim: int, text_width: int, hidden: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, hidden), nn.Dropout(dropout), nn.ReLU()) for width in (joint_dim, hidden)
        )
        self.fc_out = nn.Linear(hidden, text_width)

    @classmethod
    def sizes(cls, state: Mapping[str, Tensor]) -> Sizes:
        """The sizes of the network that a state dict belongs to; `DataError` where it is no network of this kind."""
        return Sizes.of(state, first="layers.0.0.weight", last="fc_out.weight")

    @classmethod
    def fit(
        cls,
        backbone: Backbone,
        data: PairFeatures,
        options: Pic2WordOptions,
        watch: Watch | None = None,
    ) -> tuple[Self, dict[str, Any]]:
        """Train on the pictures alone. See `motacli.contracts.TrainableInversion`."""
        require_images(data, cls.name)
        return fit_network(cls, backbone, data, options, lambda data: Pic2WordObjective(backbone, data, options), watch)

    def forward(self, features: Tensor) -> Tensor:
        """Image features ``(B, d)``, not normalised, to pseudo-words ``(B, 1, w)``."""
        for layer in self.layers:
            features = layer(features)  # (B, hidden)
        out: Tensor = self.fc_out(features)
        return out[:, None]


class Pic2WordObjective:
    """Symmetric InfoNCE between pictures and "a photo of [phi(v)]" at the backbone's frozen temperature."""

    def __init__(self, backbone: Backbone, data: PairFeatures, options: Pic2WordOptions | None = None) -> None:
        options = options or Pic2WordOptions()
        self.backbone = backbone
        self.image = data.image
        self.logit_scale = options.sharpness * backbone.logit_scale
        self.word_penalty = options.word_penalty
        self.prompt = photo_prompt(backbone)

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor:
        """Rows ``(B,)`` of the pictures to a loss."""
        image = self.image[rows]
        words = phi(image)
        text = spliced_features(self.backbone, [self.prompt] * len(rows), words)
        logits = self.logit_scale * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
        target = torch.arange(len(rows), device=logits.device)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        return loss + self.word_penalty * words.float().square().mean() if self.word_penalty else loss
