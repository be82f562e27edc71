"""Checks of the text side from token embeddings: what pseudo-words, prompts and gradients go through."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from motacli.testing.backbone_subject import BackboneSubject
from motacli.testing.checks import Checks
from motacli.testing.deep_prompts import inner_words_reach_the_end
from motacli.testing.samples import TEXTS, token_rows
from motacli.testing.tensors import difference, gradient, leaves, wrong_tensor
from motacli.text_tower import pad_tokens

checks = Checks[BackboneSubject]()
LENGTH = 6
"""Positions of the texts that are made of random embeddings."""


@checks.add("Backbone.embed_tokens", "ids (B, L) become embeddings (B, L, text_width), on the device")
def embed_tokens(subject: BackboneSubject) -> Iterator[str]:
    """Shape and device."""
    backbone = subject.backbone
    batch = pad_tokens(token_rows(backbone), backbone.device)
    shape = (*batch.ids.shape, backbone.text_width)
    if words := wrong_tensor(backbone.embed_tokens(batch.ids), shape, dtype=None, device=backbone.device):
        yield words


@checks.add("Backbone.embed_tokens", "positions are not yet added", after="embed_tokens")
def embed_tokens_anywhere(subject: BackboneSubject) -> Iterator[str]:
    """One token in several places."""
    backbone = subject.backbone
    found = backbone.embed_tokens(torch.full((1, 3), backbone.end_token, device=backbone.device))[0]
    if words := difference(found, found[:1].expand_as(found), 0):
        yield f"a token's embedding depends on its position ({words})"


@checks.add(
    "Backbone.encode_embeddings",
    "embeddings (B, L, text_width) become features (B, joint_dim), on the device",
    after="embed_tokens",
)
def encode_embeddings(subject: BackboneSubject) -> Iterator[str]:
    """Shape and device."""
    backbone = subject.backbone
    features = _together(subject)
    if words := wrong_tensor(features, (len(TEXTS), backbone.joint_dim), dtype=None, device=backbone.device):
        yield words


@checks.add(
    "Backbone.encode_embeddings",
    "the features of a text's embeddings are those of the text",
    after="encode_embeddings encode_text_again encode_text_length encode_text_alone tokenize",
)
def embeddings_are_text(subject: BackboneSubject) -> Iterator[str]:
    """Start token, ids and end token, one text at a time, against `encode_text`."""
    plain = torch.cat([subject.backbone.encode_text([text]) for text in TEXTS])
    if words := difference(_alone(subject), plain, subject.tolerance):
        yield f"features differ from those of encode_text ({words})"


@checks.add(
    "Backbone.encode_embeddings",
    "the feature is read at each row's end, whatever pads the batch behind it",
    after="encode_embeddings",
)
def padding(subject: BackboneSubject) -> Iterator[str]:
    """Rows of several lengths, together and one by one."""
    if words := difference(_together(subject), _alone(subject), subject.tolerance):
        yield f"rows depend on the batch they are in ({words})"


@checks.add("Backbone.causal", "causal is whether a token never sees what follows it", after="padding")
def causal(subject: BackboneSubject) -> Iterator[str]:
    """What stands behind the end token is changed; where nothing comes of it, what stands before it is looked at."""
    one = subject.random_embeddings(2, LENGTH)
    other = torch.cat([one[:, : LENGTH // 2], subject.random_embeddings(2, LENGTH)[:, LENGTH // 2 :]], dim=1)
    end = LENGTH // 2 - 1
    words = difference(subject.encode(other, end), subject.encode(one, end), subject.tolerance)
    if subject.backbone.causal and words:
        yield f"it is True, and what follows the end token changes the feature ({words})"
    if not subject.backbone.causal and not words and not inner_words_reach_the_end(subject):
        yield "it is False, and no token sees what follows it"


@checks.add("Backbone.encode_embeddings", "gradients reach every embedding up to the end", after="encode_embeddings")
def gradients(subject: BackboneSubject) -> Iterator[str]:
    """Pseudo-words and prompts learn wherever they stand."""
    embeddings = subject.random_embeddings(2, LENGTH).requires_grad_()
    reached = gradient(subject.encode(embeddings, LENGTH - 1), embeddings)
    if reached is None:
        yield "no gradient reaches the embeddings"
    elif not reached.isfinite().all():
        yield "gradients are not finite"
    elif places := (reached.abs().amax(dim=(0, 2)) == 0).nonzero().flatten().tolist():
        yield f"no gradient reaches the embeddings at positions {places}"


@checks.add("Backbone", "the weights are frozen: no gradient ends in them", after="encode_image encode_text gradients")
def frozen(subject: BackboneSubject) -> Iterator[str]:
    """All ways through both towers."""
    backbone = subject.backbone
    embeddings = subject.random_embeddings(1, LENGTH).requires_grad_()
    for method, output in (
        ("encode_image", backbone.encode_image(subject.pixels())),
        ("encode_text", backbone.encode_text(TEXTS)),
        ("embed_tokens", backbone.embed_tokens(torch.tensor([[backbone.end_token]], device=backbone.device))),
        ("encode_embeddings", subject.encode(embeddings, LENGTH - 1)),
    ):
        others = [leaf for leaf in leaves(output) if leaf is not embeddings]
        if others or (output.requires_grad and method != "encode_embeddings"):
            yield f"gradients of {method} end in {len(others) or 'some'} of the backbone's weights"


def _together(subject: BackboneSubject) -> Tensor:
    backbone = subject.backbone
    batch = pad_tokens(token_rows(backbone), backbone.device)
    return backbone.encode_embeddings(backbone.embed_tokens(batch.ids), batch.ends)


def _alone(subject: BackboneSubject) -> Tensor:
    backbone = subject.backbone
    rows = (torch.tensor([row], device=backbone.device) for row in token_rows(backbone))
    return torch.cat([subject.encode(backbone.embed_tokens(ids), ids.shape[1] - 1) for ids in rows])
