"""Triplets that are only validated on, and how an adapter does on them."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from motacli.adapters.computing import Composer
from motacli.adapters.frozen_half import TripletFeatures

FEWEST = 16
"""Below so many, recall says nothing and no triplet is set aside."""
MOST = 1024
"""So many are looked at: recall among more costs more and tells no more."""
_SPLIT = 11
"""Tells the split's random numbers from others: it is the same for every seed, so that seeds can be compared."""


def split_rows(pictures: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers to train on and to hold out, each ascending; ``pictures`` ``(N,)`` says which reference each row has.

    All triplets of a picture are on one side. Nothing is held out where that would be fewer than `FEWEST` rows.
    """
    count = int(pictures.max()) + 1 if len(pictures) else 0
    chosen = np.random.default_rng(_SPLIT).permutation(count)[: round(share * count)]
    out = np.isin(pictures, chosen)
    if out.sum() < FEWEST:
        out[:] = False
    return np.flatnonzero(~out), np.flatnonzero(out)


@torch.no_grad()
def score_held_out(composer: Composer, data: TripletFeatures, rows: np.ndarray, scale: float) -> dict[str, float]:
    """``held-out-loss``, InfoNCE without weights, and ``held-out-R@1`` and ``R@10`` in percent among the rows' targets.

    A target caption that is written twice counts whichever is found.
    """
    few = torch.from_numpy(rows[:MOST])
    composed = composer(data.image[few], [data.prompts[row] for row in few.tolist()]).composed
    scores = F.normalize(composed, dim=1) @ F.normalize(data.target[few], dim=1).T
    own = scores.diagonal()[:, None]
    better = (scores > own + 1e-6).sum(1)
    loss = F.cross_entropy(scale * scores, torch.arange(len(few), device=scores.device))
    recalls = {f"held-out-R@{k}": 100 * float((better < k).float().mean()) for k in (1, 10)}
    return {"held-out-loss": float(loss), **recalls}
