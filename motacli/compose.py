"""Composed queries: a reference image's feature and a relative caption become one vector in the joint space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.contracts import Adapter, Backbone, Inversion, Prompt
from motacli.text_tower import pad_tokens


@dataclass(frozen=True)
class TokenPrompt:
    """A tokenised prompt: ids before and behind the slot of the pseudo-words, markers not included.

    ``more`` are further pieces, each behind another slot that the same pseudo-words go into: LinCIR masks every keyword
    of a caption.
    """

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    more: tuple[tuple[int, ...], ...] = ()

    def __len__(self) -> int:
        """How many ids there are, slots and markers left out."""
        return len(self.prefix) + len(self.suffix) + sum(map(len, self.more))


def tokenize_prompt(backbone: Backbone, prompt: Prompt) -> TokenPrompt:
    """Tokenise the halves apart, so that nothing in a caption can pass for the slot."""
    return tokenize_pieces(backbone, (prompt.prefix, prompt.suffix))


def tokenize_pieces(backbone: Backbone, pieces: Sequence[str]) -> TokenPrompt:
    """Two or more texts, tokenised apart, to a prompt with a slot between each two.

    White space at their ends does not count. What follows a slot begins with a space, by which tokenizers that mark the
    beginnings of words (Gemma's) tell "a dog that" from "dogthat"; CLIP's takes no notice.
    """
    first, *behind = (piece.strip() for piece in pieces)
    texts = [first, *(f" {piece}" if piece else "" for piece in behind)]
    prefix, suffix, *more = (tuple(backbone.tokenize(text)) if text else () for text in texts)
    return TokenPrompt(prefix, suffix, tuple(more))


def start_of(backbone: Backbone) -> list[int]:
    """The ids that every text begins with: the start marker, or nothing where the model has none."""
    return [] if backbone.start_token is None else [backbone.start_token]


def text_room(backbone: Backbone) -> int:
    """How many ids fit between the markers."""
    return backbone.context_length - len(start_of(backbone)) - 1


@dataclass(frozen=True)
class Spliced:
    """Embeddings ``(B, L, w)`` of ``[start] prompts prefix pseudo-words suffix [end]`` and end positions ``(B,)``."""

    embeddings: Tensor
    ends: Tensor


def splice(
    backbone: Backbone,
    prompts: Sequence[TokenPrompt],
    pseudo_words: Tensor,
    task_prompts: Tensor | None = None,
    length: int = 0,
) -> Spliced:
    """Put pseudo-words ``(B, n, w)``, and task prompts ``(B, M, w)`` behind the start token, among token embeddings.

    A prompt that would overrun the context loses its end, but never its first slot. ``L`` is as the longest prompt has
    it, or ``length`` where that is more.
    """
    n = pseudo_words.shape[1]
    m = 0 if task_prompts is None else task_prompts.shape[1]
    rows: list[list[int]] = []
    slots: list[tuple[int, int, int]] = []  # row, position, which of its pseudo-words
    for number, prompt in enumerate(prompts):
        ids, starts = _lay_out(backbone, prompt, n, m)
        rows.append(ids)
        slots += [(number, at + k, k) for at in starts for k in range(n) if at + k < len(ids) - 1]
    batch = pad_tokens(rows, backbone.device, length)
    embeddings = backbone.embed_tokens(batch.ids)
    row, at, which = torch.tensor(slots, dtype=torch.long, device=backbone.device).reshape(-1, 3).unbind(1)
    embeddings = embeddings.index_put((row, at), pseudo_words[row, which].to(embeddings.dtype))
    if task_prompts is not None:
        first = len(start_of(backbone))
        before, behind = embeddings[:, :first], embeddings[:, first + m :]
        embeddings = torch.cat([before, task_prompts.to(embeddings.dtype), behind], dim=1)
    return Spliced(embeddings, batch.ends)


def spliced_length(backbone: Backbone, prompts: Sequence[TokenPrompt], n: int) -> int:
    """The ``L`` of such embeddings of these prompts, with ``n`` pseudo-words in each slot and without task prompts."""
    return max((len(_lay_out(backbone, prompt, n, 0)[0]) for prompt in prompts), default=0)


def _lay_out(backbone: Backbone, prompt: TokenPrompt, n: int, m: int) -> tuple[list[int], list[int]]:
    """A prompt's ids, cut to the context and with zeros where vectors go, and the start of each of its slots."""
    start = start_of(backbone)
    room = backbone.context_length - 1  # for all but the end token
    ids = [*start, *([0] * m), *prompt.prefix][: max(room - n, len(start))]
    starts = []
    for piece in (prompt.suffix, *prompt.more):
        starts.append(len(ids))
        ids += [*([0] * n), *piece]
    return [*ids[:room], backbone.end_token], starts


def batches_by_length(prompts: Sequence[TokenPrompt], size: int) -> list[Tensor]:
    """Row numbers ``(<= size,)`` of prompts of like length, so that little of a batch is padding; shortest first."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    return list(lengths.argsort(stable=True).split(size)) if len(prompts) else []


def compose_base(backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]) -> Tensor:
    """The inversion network alone: features ``(B, d)`` to composed features ``(B, d)``, not normalised."""
    spliced = splice(backbone, prompts, inversion(features.to(backbone.device)))
    return backbone.encode_embeddings(spliced.embeddings, spliced.ends)


@torch.no_grad()
def compose_queries(
    backbone: Backbone,
    inversion: Inversion,
    features: Tensor,
    prompts: Sequence[Sequence[Prompt]],
    adapter: Adapter | None = None,
    batch_size: int = 256,
) -> Tensor:
    """Reference features ``(Q, d)`` with one or more prompts each to unit vectors ``(Q, d)``, float32 on the CPU.

    Several prompts of a query (FashionIQ's two orders) are encoded, normalised, averaged and normalised again. Batches
    are sorted by length; the result is in the order of the queries.
    """
    owners = torch.tensor([query for query, group in enumerate(prompts) for _ in group], dtype=torch.long)
    flat = [tokenize_prompt(backbone, prompt) for group in prompts for prompt in group]
    total = torch.zeros(len(prompts), backbone.joint_dim)
    for part in batches_by_length(flat, batch_size):
        rows, tokens = owners[part], [flat[i] for i in part.tolist()]
        if adapter is None:
            composed = compose_base(backbone, inversion, features[rows], tokens)
        else:
            composed = adapter.compose(backbone, inversion, features[rows].to(backbone.device), tokens)
        total.index_add_(0, rows, F.normalize(composed.float(), dim=1).cpu())
    return F.normalize(total, dim=1)


def sum_queries(image: Tensor, text: Tensor) -> Tensor:
    """The classic baseline: unit image feature plus unit text feature ``(Q, d)``, normalised."""
    return F.normalize(F.normalize(image, dim=1) + F.normalize(text, dim=1), dim=1)


def late_fusion(queries: Tensor, image: Tensor, weight: float = 0.5) -> Tensor:
    """Composed unit queries plus ``weight`` times the reference's unit image feature ``(Q, d)``, normalised.

    Training-free and strong wherever reference and target share their context, so it is always reported.
    """
    return F.normalize(queries + weight * F.normalize(image, dim=1), dim=1)
