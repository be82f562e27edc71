"""Mixture-of-experts task prompts (MoTa-Adapter, text side): experts' prompt tokens, mixed by a router per query."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TaskPrompts(nn.Module):
    """``K`` experts of ``M`` prompt tokens for each of ``J`` text layers, and the router that mixes them.

    [paper] the router sees the query, pseudo-word with relative caption; the mixture enters the text encoder's input.
    [ours] router input is the pseudo-words' mean next to the mean token embedding of the relative caption, each
    standardised; a softmax gate, dense by default, ``top_k`` optional; ``K = 1`` is plain prompt tuning. Without tokens
    (``M = 0``, the ablation) there are no experts to tell apart: one empty set, no router, and nothing that learns.
    """

    def __init__(
        self,
        width: int,
        *,
        experts: int = 4,
        tokens: int = 4,
        depth: int = 3,
        temperature: float = 1.0,
        top_k: int = 0,
        init_scale: float = 0.02,
    ) -> None:
        super().__init__()
        if tokens == 0:
            experts = 1
        self.temperature = temperature
        self.top_k = top_k
        self.experts = nn.Parameter(torch.randn(experts, depth, tokens, width) * init_scale)
        self.router = nn.Linear(2 * width, experts) if experts > 1 else None
        if self.router is not None:
            nn.init.normal_(self.router.weight, std=0.02)
            nn.init.zeros_(self.router.bias)

    def gates(self, pseudo_words: Tensor, caption: Tensor) -> Tensor:
        """Pseudo-words ``(B, n, w)``, mean caption embeddings ``(B, w)`` to mixing weights ``(B, K)`` that sum to 1."""
        if self.router is None:
            return self.experts.new_ones(len(caption), 1)
        width = caption.shape[1:]
        query = torch.cat([F.layer_norm(pseudo_words.mean(1), width), F.layer_norm(caption, width)], dim=1)  # (B, 2w)
        logits = self.router(query) / self.temperature
        if self.top_k:
            kept = logits.topk(min(self.top_k, logits.shape[1]), dim=1).indices
            logits = logits.masked_fill(torch.ones_like(logits).scatter(1, kept, 0).bool(), -torch.inf)
        return logits.softmax(1)

    def forward(self, gates: Tensor) -> Tensor:
        """Gates ``(B, K)`` to each query's prompts ``(B, J, M, w)``."""
        return torch.einsum("bk,kjmw->bjmw", gates, self.experts)


def balance_loss(gates: Tensor) -> Tensor:
    """``K * sum_k mean_gate_k^2``, 1 when all experts are used alike, ``K`` when one takes all. [ours]"""
    return gates.shape[1] * gates.mean(0).pow(2).sum()
