"""How published code trains inversion networks; the yardstick of `mota bench train-inversion`.

Every step tokenises its texts anew and pads them to 77 tokens, encodes again what never changes, and runs the whole
tower for the one position that is read. The tower's weights are left trainable although no optimiser has them, so that
their gradients are computed and pile up. Written from a description of what such code does; each function stands for
one method's code, but for LinCIR's weights, which its authors do freeze.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

import torch
from open_clip.transformer import text_global_pool
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.inversions.keywords import Run, light_runs

SLOT = "$"
Step = tuple[Sequence[int], torch.Generator]
"""The rows of one step, and its noise."""


class PeerTower:
    """A copy of an open_clip ``CLIP`` and its tokenizer, used on all 77 positions."""

    def __init__(self, model: Any, tokenizer: Any, *, weight_gradients: bool) -> None:
        self.model = deepcopy(model).requires_grad_(weight_gradients)
        self.tokenizer = tokenizer
        (self._slot,) = tokenizer.encode(SLOT)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Texts to features ``(B, d)``, not normalised."""
        features: Tensor = self.model.encode_text(self.tokenizer(texts))
        return features

    def encode_with(self, texts: Sequence[str], words: Tensor) -> Tensor:
        """Texts with pseudo-words ``(B, w)`` for their slots to features ``(B, d)``."""
        model, tokens = self.model, self.tokenizer(texts)
        embeddings = model.token_embedding(tokens)
        hidden = torch.where((tokens == self._slot)[..., None], words[:, None], embeddings)
        hidden = model.transformer(hidden + model.positional_embedding, attn_mask=model.attn_mask)
        pooled: Tensor = text_global_pool(model.ln_final(hidden), tokens, model.text_pool_type)
        return pooled @ model.text_projection


def mask_keywords(caption: str) -> str:
    """A caption with a slot for every run of keywords."""
    return _with_slots(caption, light_runs(caption))


def mask_concept(caption: str) -> str:
    """A caption with a slot for its first run of keywords."""
    return _with_slots(caption, light_runs(caption)[:1])


def train_lincir(
    tower: PeerTower, phi: nn.Module, captions: Sequence[str], steps: Iterable[Step], *, lr: float, wd: float
) -> list[float]:
    """LinCIR's training of ``phi`` in place; the loss of each step."""
    optimizer = torch.optim.AdamW(phi.parameters(), lr=lr, weight_decay=wd)
    losses = []
    for rows, noise in steps:
        texts = [captions[row] for row in rows]
        with torch.no_grad():
            wanted = tower.encode(texts)
        strength = torch.rand(len(texts), 1, generator=noise)
        noisy = wanted + strength * torch.randn(wanted.shape, generator=noise)
        found = tower.encode_with([mask_keywords(text) for text in texts], phi(noisy)[:, 0])
        losses.append(_descend(F.mse_loss(found, wanted), optimizer))
    return losses


def train_searle(
    tower: PeerTower,
    phi: nn.Module,
    images: Tensor,
    optimised: Tensor,
    phrases: Sequence[str],
    steps: Iterable[Step],
    *,
    lr: float,
    wd: float,
    temperature: float,
    phrase_weight: float,
) -> list[float]:
    """SEARLE's distillation of ``optimised`` pseudo-words ``(N, w)`` into ``phi`` in place; the loss of each step."""
    optimizer = torch.optim.AdamW(phi.parameters(), lr=lr, weight_decay=wd)
    losses = []
    for rows, _ in steps:
        texts = [phrases[row] for row in rows]
        words = phi(images[rows])[:, 0]
        kept = _cosine_distance(tower.encode_with([mask_concept(text) for text in texts], words), tower.encode(texts))
        losses.append(_descend(_contrast(optimised[rows], words, temperature) + phrase_weight * kept, optimizer))
    return losses


def invert(
    tower: PeerTower,
    images: Tensor,
    start: Tensor,
    phrases: Sequence[str],
    templates: Sequence[str],
    rng: Random,
    *,
    steps: int,
    lr: float,
    wd: float,
    phrase_weight: float,
) -> Tensor:
    """SEARLE's optimisation of a pseudo-word for each picture, from ``start`` ``(N, w)`` on; the last ones."""
    words = start.clone().requires_grad_(True)
    optimizer = torch.optim.AdamW([words], lr=lr, weight_decay=wd)
    for _ in range(steps):
        framed = [rng.choice(templates).format(SLOT) for _ in images]
        seen = _cosine_distance(tower.encode_with(framed, words), images)
        masked = [mask_concept(phrase) for phrase in phrases]
        kept = _cosine_distance(tower.encode_with(masked, words), tower.encode(phrases))
        _descend((seen + phrase_weight * kept) / (1 + phrase_weight), optimizer)
    return words.detach()


def _with_slots(caption: str, runs: Sequence[Run]) -> str:
    words = caption.split()
    for start, end in reversed(runs):
        words[start:end] = [SLOT]
    return " ".join(words)


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(a, b).mean()


def _contrast(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """Each row of either side ``(B, w)`` has to find its partner among the other rows of both sides."""
    a, b = F.normalize(a), F.normalize(b)
    across, own_a, own_b = ((x @ y.T / temperature).exp() for x, y in ((a, b), (a, a), (b, b)))
    partner = across.diagonal()
    from_a = partner / (across.sum(1) + own_a.sum(1) - own_a.diagonal())
    from_b = partner / (across.sum(0) + own_b.sum(1) - own_b.diagonal())
    return -(from_a.log().mean() + from_b.log().mean()) / 2
