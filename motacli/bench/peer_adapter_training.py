"""A plain loop that trains a prompt adapter; the yardstick of `mota bench train`.

Every step encodes its pictures and its target captions anew, pads all texts to 77 tokens, and leaves the towers'
weights trainable although no optimiser has them, so that their gradients are computed and pile up. The base model's
query, which the objective weighs and anchors by, is encoded anew too, but without gradients. Pictures come decoded, as
tensors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from open_clip.transformer import text_global_pool
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.adapters.mota import MotaAdapter
from motacli.bench.gradients import Descent, keep_gradients
from motacli.bench.peer_training import SLOT, PeerTower


@dataclass(frozen=True, slots=True)
class PeerTriplets:
    """Pictures ``(N, 3, H, W)``, relative and target captions, and the size of the image features' entries."""

    pictures: Tensor
    changes: Sequence[str]
    targets: Sequence[str]
    unit: Tensor


@dataclass(frozen=True, slots=True)
class PeerObjective:
    """What the loss is made of and how it is descended: warm-up, then half a cosine to zero."""

    lr: float
    wd: float
    warmup: int
    beta: float
    balance: float
    anchor: float
    noise: float


class PromptedTower(PeerTower):
    """A tower that also takes an adapter's prompts, on all 77 positions."""

    def encode_image(self, pictures: Tensor) -> Tensor:
        """Pictures ``(B, 3, H, W)`` to features ``(B, d)``, not normalised."""
        features: Tensor = self.model.encode_image(pictures)
        return features

    def encode_prompted(self, texts: Sequence[str], words: Tensor, prompts: Tensor) -> Tensor:
        """Texts with pseudo-words ``(B, w)`` for their slots, and prompts ``(B, J, M, w)`` behind the start token."""
        model, tokens, count = self.model, self.tokenizer(texts), prompts.shape[2]
        room = torch.zeros(len(texts), count, dtype=tokens.dtype)
        tokens = torch.cat([tokens[:, :1], room, tokens[:, 1 : tokens.shape[1] - count]], dim=1)  # (B, 77)
        embeddings = model.token_embedding(tokens)
        hidden = torch.where((tokens == self._slot)[..., None], words[:, None], embeddings)
        hidden = _put(hidden, prompts[:, 0]) + model.positional_embedding
        for number, block in enumerate(model.transformer.resblocks):
            if 1 <= number < prompts.shape[1]:
                hidden = _put(hidden, prompts[:, number])
            hidden = block(hidden, attn_mask=model.attn_mask)
        pooled: Tensor = text_global_pool(model.ln_final(hidden), tokens, model.text_pool_type)
        return pooled @ model.text_projection

    def mean_embedding(self, texts: Sequence[str]) -> Tensor:
        """The mean token embedding ``(B, w)`` of each text, markers left out."""
        rows = [torch.tensor(self.tokenizer.encode(text)) for text in texts]
        return torch.stack([self.model.token_embedding(row).mean(0) for row in rows])


def train(
    tower: PromptedTower,
    phi: nn.Module,
    adapter: MotaAdapter,
    data: PeerTriplets,
    batches: Sequence[Sequence[int]],
    noise: torch.Generator,
    objective: PeerObjective,
) -> Descent:
    """Train ``adapter`` in place."""
    optimizer, gradients = _optimizer(adapter, objective), keep_gradients(adapter)
    losses = []
    for step, rows in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, len(batches), objective)
        loss = _loss(tower, phi, adapter, data, rows, noise, objective)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return Descent(losses, gradients)


def _loss(
    tower: PromptedTower,
    phi: nn.Module,
    adapter: MotaAdapter,
    data: PeerTriplets,
    rows: Sequence[int],
    noise: torch.Generator,
    objective: PeerObjective,
) -> Tensor:
    changes = [f"that {data.changes[row]}" for row in rows]
    texts = [f"a photo of {SLOT} {change}" for change in changes]
    image = tower.encode_image(data.pictures[list(rows)])
    noisy = image + objective.noise * data.unit * torch.randn(image.shape, generator=noise)
    words = phi(adapter.mdm(noisy))
    gates = adapter.prompts.gates(words, tower.mean_embedding(changes))
    found = F.normalize(tower.encode_prompted(texts, words[:, 0], adapter.prompts(gates)), dim=1)
    wanted = F.normalize(tower.encode([data.targets[row] for row in rows]), dim=1)
    scale = tower.model.logit_scale.exp()
    with torch.no_grad():
        base = F.normalize(tower.encode_with(texts, phi(image)[:, 0]), dim=1)
        weights = _doubt(scale * base @ wanted.T, objective.beta)
    own = torch.arange(len(rows))
    contrast = (weights * F.cross_entropy(scale * found @ wanted.T, own, reduction="none")).mean()
    evenness = gates.shape[1] * (gates.mean(0) ** 2).sum()
    drift = 1 - (found * base).sum(1).mean()
    return contrast + objective.balance * evenness + objective.anchor * drift


def _doubt(logits: Tensor, beta: float) -> Tensor:
    """Weights ``(B,)`` of mean 1 that grow with the entropy of the base model's choice."""
    chances = logits.softmax(1)
    entropy = -(chances * chances.log()).sum(1) / torch.tensor(float(logits.shape[1])).log()
    weights = torch.exp(beta * entropy)
    return weights / weights.mean()


def _rate(step: int, steps: int, objective: PeerObjective) -> float:
    warm = min(1.0, (step + 1) / objective.warmup)
    return objective.lr * warm * (1 + math.cos(math.pi * step / steps)) / 2


def _optimizer(adapter: nn.Module, objective: PeerObjective) -> torch.optim.Optimizer:
    matrices = [weight for weight in adapter.parameters() if weight.ndim == 2]
    others = [weight for weight in adapter.parameters() if weight.ndim != 2]
    groups = [{"params": matrices, "weight_decay": objective.wd}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=objective.lr)


def _put(hidden: Tensor, prompts: Tensor) -> Tensor:
    """Prompts ``(B, M, w)`` in place of what stands behind the start token."""
    return torch.cat([hidden[:, :1], prompts, hidden[:, 1 + prompts.shape[1] :]], dim=1)
