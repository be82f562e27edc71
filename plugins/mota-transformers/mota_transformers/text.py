"""The text towers of transformers, run from token embeddings, layer by layer.

The layers are the library's own. The mask, the padding and the position that is read are ours, because the library
makes them of token ids alone. All four kinds of tower have their parts by the same names: ``embeddings``,
``encoder.layers`` and ``final_layer_norm``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.text_tower import through

CAUSAL = {
    "clip_text_model": True,
    "metaclip_2_text_model": True,
    "siglip_text_model": False,
    "siglip2_text_model": False,
}
"""The text towers that can take pseudo-words, by the library's names, and whether a token sees only those before it."""


@dataclass(frozen=True)
class TextTower:
    """A text tower and what projects its feature: ``start`` is 1 where texts begin with a marker, else 0.

    A causal tower is read at the end token (CLIP). The others see all 64 tokens, padding included, and are read at the
    last one (SigLIP), so that ``padding``, the id that fills a text up, is part of what they were trained on.
    """

    tower: Any
    projection: Any
    causal: bool
    start: int
    padding: int

    @property
    def context_length(self) -> int:
        """The most tokens of a text, and what every text is padded to where the tower is not causal."""
        return int(self.positions.shape[0])

    @property
    def tokens(self) -> Tensor:
        """Token embeddings ``(V, w)``."""
        weight: Tensor = self.tower.embeddings.token_embedding.weight
        return weight

    @property
    def positions(self) -> Tensor:
        """Positional embeddings ``(context_length, w)``."""
        weight: Tensor = self.tower.embeddings.position_embedding.weight
        return weight

    def features(self, embeddings: Tensor, ends: Tensor, deep_prompts: Tensor | None = None) -> Tensor:
        """Token embeddings ``(B, L, w)``, end positions ``(B,)`` to features ``(B, d)``; see `Backbone`."""
        hidden = self.hidden(embeddings, ends, deep_prompts)
        rows = torch.arange(len(hidden), device=hidden.device)
        read = hidden[rows, ends.to(hidden.device)] if self.causal else hidden[:, -1]
        features: Tensor = self.projection(read)
        return features

    def hidden(self, embeddings: Tensor, ends: Tensor, deep_prompts: Tensor | None = None) -> Tensor:
        """What the last layer makes of them, normed: ``(B, L, w)``, or ``(B, context_length, w)`` if not causal."""
        if not self.causal:
            embeddings = self._filled(embeddings, ends)
        hidden = embeddings + self.positions[: embeddings.shape[1]]
        mask = _causal_mask(hidden) if self.causal else None
        for number, layer in enumerate(self.tower.encoder.layers):
            if deep_prompts is not None and 1 <= number <= deep_prompts.shape[1]:
                hidden = self._prompted(hidden, deep_prompts[:, number - 1])
            hidden = through(layer, hidden, attention_mask=mask)
        normed: Tensor = self.tower.final_layer_norm(hidden)
        return normed

    def _prompted(self, hidden: Tensor, prompts: Tensor) -> Tensor:
        """Hidden states with the prompts ``(B, M, w)`` in place of those behind the start token."""
        behind = self.start + prompts.shape[1]
        return torch.cat([hidden[:, : self.start], prompts.to(hidden.dtype), hidden[:, behind:]], dim=1)

    def _filled(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        """Embeddings ``(B, context_length, w)`` with padding behind each end token, whatever stood there."""
        whole = F.pad(embeddings, (0, 0, 0, self.context_length - embeddings.shape[1]))
        behind = torch.arange(self.context_length, device=whole.device)[None] > ends.to(whole.device)[:, None]  # (B, L)
        return torch.where(behind[..., None], self.tokens[self.padding].to(whole.dtype), whole)


def _causal_mask(hidden: Tensor) -> Tensor:
    """What is added to the attention's scores ``(1, 1, L, L)``: minus infinity for what comes later."""
    length = hidden.shape[1]
    return torch.full((length, length), -torch.inf, dtype=hidden.dtype, device=hidden.device).triu(1)[None, None]
