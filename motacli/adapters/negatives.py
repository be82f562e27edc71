"""Near misses: target captions that are like a triplet's own and still another picture's. [ours]"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 1024
"""Triplets whose near misses are looked for together."""


@torch.no_grad()
def mine_near_misses(
    targets: Tensor, count: int, pool: int, ceiling: float, seed: int, allowed: Tensor | None = None
) -> Tensor:
    """For target features ``(N, d)`` the rows ``(N, count)`` of the ``count`` most similar others, the nearest first.

    Looked through are at most ``pool`` rows, a random sample where there are more (of ``allowed``, row numbers, where
    given: held-out triplets teach nothing). A caption above a cosine of ``ceiling`` says the same and is no miss. A
    triplet with fewer misses than ``count`` has its own row in the remaining places.
    """
    unit = F.normalize(targets.float(), dim=1)
    known = torch.arange(len(unit)) if allowed is None else allowed
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))
    candidates = known[order[:pool].sort().values].to(unit.device)
    found = []
    for start in range(0, len(unit), BLOCK):
        own = torch.arange(start, min(start + BLOCK, len(unit)), device=unit.device)
        similarity = unit[own] @ unit[candidates].T
        similarity = similarity.masked_fill(similarity > ceiling, -torch.inf)
        best = similarity.topk(min(count, len(candidates)), dim=1)
        rows = torch.where(best.values.isfinite(), candidates[best.indices], own[:, None])
        found.append(F.pad(rows, (0, count - rows.shape[1]), value=-1))
    mined = torch.cat(found)
    own = torch.arange(len(unit), device=unit.device)[:, None]
    return torch.where(mined < 0, own, mined)
