"""Several pseudo-words per image: one for its subject, and one for each of a few attributes.

After FTI4CIR (Lin et al., "Fine-grained Textual Inversion Network for Zero-Shot Composed Image Retrieval", SIGIR 2024,
arXiv 2503.19296), which maps an image to a subject-oriented pseudo-word and several attribute-oriented ones, keeps its
attribute features apart by an orthogonality constraint, and regularises all words by captions that BLIP wrote. Its
attributes come from local features of the image and its prompt reads "a photo of [S] with [A1, ..., Ar]".

[ours] the simplification, made to show the contract and not to reproduce the paper's numbers: everything is read from
the one global feature that mota caches, an attribute by a learned gate over a shared hidden layer; the words follow one
another in mota's one slot, without "with"; captions are those of the data, and pull on the whole text's feature alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli import Backbone
from motacli.inversions.data import PairFeatures, photo_prompt, require_captions, require_images, spliced_features
from motacli.inversions.training import InversionOptions, fit_network, require
from motacli.watch import Watch

ATTRIBUTES = 3
"""Attribute words per image; a constant, since `mota` builds the class from the two dimensions alone [ours]."""
HIDDEN = 256


@dataclass(frozen=True)
class FineOptions(InversionOptions):
    """How it is trained; the defaults are ours, for data sets of a few thousand pairs.

    ``caption_weight`` pulls the text of the words towards the caption, ``apart_weight`` keeps attribute words apart,
    and ``size_weight`` keeps all words small, for large ones do not compose.
    """

    steps: int = 400
    batch_size: int = 256
    lr: float = 2e-3
    warmup: int = 20
    dropout: float = 0.3
    caption_weight: float = 1.0
    apart_weight: float = 0.1
    size_weight: float = 0.1
    temperature: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = (self.caption_weight, self.apart_weight, self.size_weight)
        require(min(weights) >= 0, f"weights must not be negative: {weights}")
        require(self.temperature > 0, f"temperature must be positive, not {self.temperature}")


class FineWords(nn.Module):
    """``h = GELU(W v)``; the subject is ``S(h)``, attribute k is ``A(h * sigmoid(g_k))``, its gate ``g_k`` learned."""

    name = "fine-words"
    Options = FineOptions

    def __init__(self, *, joint_dim: int, text_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(joint_dim, HIDDEN), nn.GELU(), nn.Dropout(dropout))
        self.gates = nn.Parameter(torch.randn(ATTRIBUTES, HIDDEN))
        self.subject = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, text_width))
        self.attribute = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, text_width))

    def forward(self, features: Tensor) -> Tensor:
        """Image features ``(B, d)``, not normalised, to pseudo-words ``(B, 1 + ATTRIBUTES, w)``, the subject first."""
        hidden = self.trunk(F.normalize(features, dim=1) * features.shape[1] ** 0.5)  # (B, h), entries of size one
        gated = hidden[:, None] * self.gates.sigmoid()  # (B, ATTRIBUTES, h)
        return torch.cat([self.subject(hidden)[:, None], self.attribute(gated)], dim=1)

    @classmethod
    def fit(
        cls, backbone: Backbone, data: PairFeatures, options: FineOptions, watch: Watch | None = None
    ) -> tuple[Self, dict[str, Any]]:
        """Train on pictures with captions. See `motacli.contracts.TrainableInversion`.

        Raises `motacli.errors.DataError` where the data holds pictures or captions alone.
        """
        require_images(data, cls.name)
        require_captions(data, cls.name)
        return fit_network(cls, backbone, data, options, lambda data: FineObjective(backbone, data, options), watch)


class FineObjective:
    """Three terms: "a photo of [words]" finds its picture, says what the caption says, and attributes differ."""

    def __init__(self, backbone: Backbone, data: PairFeatures, options: FineOptions) -> None:
        self.backbone, self.options = backbone, options
        self.image, self.caption = F.normalize(data.image, dim=1), F.normalize(data.text, dim=1)
        self.raw = data.image
        self.prompt = photo_prompt(backbone)

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor:
        """Rows ``(B,)`` of the data to a loss."""
        words = phi(self.raw[rows])  # (B, n, w)
        text = spliced_features(self.backbone, [self.prompt] * len(rows), words)
        text = F.normalize(text.float(), dim=1)  # (B, d)
        logits = text @ self.image[rows].T / self.options.temperature
        target = torch.arange(len(rows), device=logits.device)
        found = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        said = 1 - (text * self.caption[rows]).sum(1).mean()
        loss = found + self.options.caption_weight * said + self.options.apart_weight * overlap(words[:, 1:])
        return loss + self.options.size_weight * words.float().square().mean()


def overlap(attributes: Tensor) -> Tensor:
    """The mean squared cosine between two attribute words ``(B, n, w)`` of one picture; 0 where they are orthogonal."""
    unit = F.normalize(attributes.float(), dim=2)
    cosines = unit @ unit.transpose(1, 2)  # (B, n, n)
    number = attributes.shape[1]
    return (cosines.square().sum((1, 2)) - number).mean() / (number * (number - 1))
