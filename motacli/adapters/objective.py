"""The entropy-weighted contrastive objective."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def candidate_entropy(queries: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Entropy of the base model's softmax over ``N`` candidates over ``log N``: ``(B, d) x (N, d) -> (B,)`` in 0..1.

    ``queries`` are unit composed features without adapter, ``targets`` unit text features of target captions.
    """
    log_p = (scale * queries @ targets.T).log_softmax(1)
    return -(log_p.exp() * log_p).sum(1) / math.log(max(len(targets), 2))


def entropy_weights(entropy: Tensor, beta: float) -> Tensor:
    """``exp(beta * H_i)`` over its mean ``(B,)``: the weight grows exponentially with the base model's doubt [paper];
    normalised entropy and unit mean are [ours]. ``beta = 0`` weighs all alike."""
    weights = (beta * entropy).exp()
    return weights / weights.mean()


def weighted_info_nce(
    queries: Tensor,
    targets: Tensor,
    scale: float,
    weights: Tensor | None = None,
    negatives: Tensor | None = None,
    symmetric: bool = False,
    near_misses: Tensor | None = None,
) -> Tensor:
    """``w_i``-weighted InfoNCE from composed queries ``(B, d)`` to target captions ``(B, d)``.

    ``negatives`` ``(M, d)`` are candidates that are nobody's target (the batch's reference captions: hard negatives
    that say what *not* to change into [ours]). ``near_misses`` ``(B, M, d)`` are candidates of one query each, ones
    equal to its target being no wrong answers [ours]. ``symmetric`` adds the direction from targets to queries [ours].
    """
    queries, targets = F.normalize(queries, dim=1), F.normalize(targets, dim=1)
    candidates = targets if negatives is None else torch.cat([targets, F.normalize(negatives, dim=1)])
    wanted = torch.arange(len(queries), device=queries.device)
    logits = scale * queries @ candidates.T
    if near_misses is not None:
        misses = F.normalize(near_misses, dim=2)
        equal = (misses * targets[:, None]).sum(2) > 1 - 1e-6
        own = scale * (queries[:, None] * misses).sum(2)  # (B, M)
        logits = torch.cat([logits, own.masked_fill(equal, -torch.inf)], dim=1)
    losses = F.cross_entropy(logits, wanted, reduction="none")
    if symmetric:
        losses = (losses + F.cross_entropy(scale * targets @ queries.T, wanted, reduction="none")) / 2
    return losses.mean() if weights is None else (weights * losses).mean()
