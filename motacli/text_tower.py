"""The text tower's forward pass from token embeddings: what lets pseudo-words and prompts into a frozen CLIP.

Depends only on the attributes that open_clip keeps stable: ``token_embedding``, ``positional_embedding``,
``transformer`` (its ``resblocks``), ``ln_final``, ``text_projection`` and ``attn_mask``, on ``CLIP`` itself or below
``CustomTextCLIP.text``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor
from torch.utils.checkpoint import checkpoint

TEXT_WEIGHTS = ("token_embedding", "positional_embedding", "transformer", "ln_final", "text_projection")
"""What of a tower holds the weights that `text_features` reads, token embeddings included."""

_recomputed = ContextVar("layers are recomputed in the backward pass", default=False)


@contextmanager
def layers_recomputed(on: bool = True) -> Iterator[None]:
    """Within it, gradients cost less memory and more time: of each layer only the input is kept."""
    token = _recomputed.set(on)
    try:
        yield
    finally:
        _recomputed.reset(token)


def text_features(tower: Any, embeddings: Tensor, ends: Tensor, deep_prompts: Tensor | None = None) -> Tensor:
    """Token embeddings ``(B, L, w)`` to projected features ``(B, d)``, read at positions ``ends`` ``(B,)``.

    ``deep_prompts`` ``(B, J - 1, M, w)`` replaces the hidden states at positions ``1..M`` before layers ``2..J``. ``L``
    may be shorter than the context: with a causal mask nothing behind the end token can reach it.
    """
    length = embeddings.shape[1]
    hidden = embeddings + tower.positional_embedding[:length].to(embeddings.dtype)
    mask = tower.attn_mask[:length, :length].to(device=hidden.device, dtype=hidden.dtype)
    last = tower.transformer.resblocks[-1]
    for number, block in enumerate(tower.transformer.resblocks):
        if deep_prompts is not None and 1 <= number <= deep_prompts.shape[1]:
            prompts = deep_prompts[:, number - 1].to(hidden.dtype)
            hidden = torch.cat([hidden[:, :1], prompts, hidden[:, 1 + prompts.shape[1] :]], dim=1)
        if block is not last:
            hidden = through(block, hidden, attn_mask=mask)
    pooled = tower.ln_final(_read_at_ends(last, hidden, ends, mask))
    projection = tower.text_projection
    if projection is None:
        return pooled
    return projection(pooled) if isinstance(projection, torch.nn.Module) else pooled @ projection


def through(layer: Callable[..., Tensor], hidden: Tensor, **given: Any) -> Tensor:
    """What ``layer(hidden, **given)`` is; `layers_recomputed` says whether it is computed again for the gradients."""
    if not (_recomputed.get() and torch.is_grad_enabled()):
        return layer(hidden, **given)
    again: Tensor = checkpoint(layer, hidden, use_reentrant=False, **given)
    return again


def _read_at_ends(block: Any, hidden: Tensor, ends: Tensor, mask: Tensor) -> Tensor:
    """The last block's output ``(B, w)`` at the end tokens, which is all that is ever read of it.

    For open_clip's standard block nothing else is computed: the same numbers for a sixth of that block's work.
    """
    rows = torch.arange(len(hidden), device=hidden.device)
    if type(block) is not ResidualAttentionBlock or hasattr(block, "ln_1_kv") or not block.attn.batch_first:
        full: Tensor = block(hidden, attn_mask=mask)
        return full[rows, ends]
    normed = block.ln_1(hidden)
    behind = torch.arange(hidden.shape[1], device=hidden.device)[None] > ends[:, None]  # (B, L)
    at_end = normed[rows, ends][:, None]  # (B, 1, w)
    attended, _ = block.attn(at_end, normed, normed, key_padding_mask=behind, need_weights=False)
    out: Tensor = hidden[rows, ends] + block.ls_1(attended[:, 0])
    return out + block.ls_2(block.mlp(block.ln_2(out)))


@dataclass(frozen=True)
class TokenBatch:
    """Token ids ``(B, L)`` padded behind the end token to the longest row, and each row's end position ``(B,)``."""

    ids: Tensor
    ends: Tensor


def pad_tokens(rows: Sequence[Sequence[int]], device: torch.device | str = "cpu", length: int = 0) -> TokenBatch:
    """Rows of complete token ids, end token last, to a batch cut at the longest row, or at ``length``; padding is 0."""
    longest = max(length, *(len(row) for row in rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.as_tensor(row)
    ends = torch.tensor([len(row) - 1 for row in rows])
    return TokenBatch(ids.to(device), ends.to(device))
