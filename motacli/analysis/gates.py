"""How an adapter's router mixes its experts, read without running the text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motacli.analysis.feature_sets import Parts
from motacli.compose import batches_by_length, tokenize_prompt
from motacli.contracts import Prompt
from motacli.errors import UsageError


@torch.no_grad()
def expert_gates(parts: Parts, features: Tensor, prompts: Sequence[Prompt], batch_size: int = 256) -> np.ndarray:
    """Image features ``(Q, d)`` and a prompt each to gates ``(Q, K)``, float64, rows summing to one."""
    adapter: Any = parts.adapter
    tokens = [tokenize_prompt(parts.backbone, prompt) for prompt in prompts]
    found: Tensor | None = None
    for rows in batches_by_length(tokens, batch_size):
        seen = features[rows].to(parts.backbone.device)
        words = parts.inversion(seen if parts.mdm is None else parts.mdm(seen))
        gates = adapter.route(parts.backbone, words, [tokens[row] for row in rows.tolist()]).double().cpu()
        if found is None:
            found = torch.empty(len(tokens), gates.shape[1], dtype=torch.float64)
        found[rows] = gates
    assert found is not None  # there is always a query
    return found.numpy()


def require_router(parts: Parts) -> None:
    """`UsageError` for an adapter that mixes nothing."""
    adapter: Any = parts.adapter
    if not callable(getattr(adapter, "route", None)):
        raise UsageError(
            f"adapter {adapter.name!r} has no router: there are no experts to look at",
            "give one that mixes experts, as `mota train --adapter-type mota` makes",
        )
    experts = getattr(getattr(adapter, "options", None), "experts", None)
    if experts == 1:
        raise UsageError(
            "the adapter has one expert, which takes every query: there is no routing to look at",
            "train one with several, as --option experts=4",
        )
