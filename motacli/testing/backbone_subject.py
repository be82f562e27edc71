"""What the checks of a backbone look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from motacli.compose import start_of
from motacli.contracts import Backbone
from motacli.testing.samples import pictures


@dataclass(frozen=True)
class BackboneSubject:
    """A backbone, how to load it again and where, and how far its numbers may be apart."""

    backbone: Backbone
    load: Callable[[str], Backbone] | None
    devices: tuple[str, ...]
    tolerance: float

    def pixels(self, backbone: Backbone | None = None) -> Tensor:
        """Three pictures as the encoder wants them: ``(3, 3, H, W)``."""
        backbone = backbone or self.backbone
        return torch.stack([backbone.preprocess(picture) for picture in pictures()]).to(backbone.device)

    def random_embeddings(self, rows: int, length: int) -> Tensor:
        """Token embeddings ``(rows, length, w)`` that are no word's, about as large as those of words."""
        backbone = self.backbone
        markers = [*start_of(backbone), backbone.end_token]
        words = backbone.embed_tokens(torch.tensor([markers], device=backbone.device))
        noise = torch.randn(rows, length, backbone.text_width)
        return words.detach().float().std() * noise.to(backbone.device)

    def encode(self, embeddings: Tensor, end: int, deep: Tensor | None = None) -> Tensor:
        """Features of embeddings ``(B, L, w)`` that all end at one position."""
        ends = torch.full((len(embeddings),), end, device=embeddings.device)
        return self.backbone.encode_embeddings(embeddings, ends, deep)
