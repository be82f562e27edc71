"""Checks of `motacli.contracts.TunableText`, for backbones whose text tower can be run with other weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from motacli.testing.backbone_subject import BackboneSubject
from motacli.testing.checks import Checks, LeftOut
from motacli.testing.samples import TEXTS, token_rows
from motacli.testing.tensors import difference, gradient
from motacli.text_tower import TEXT_WEIGHTS, pad_tokens

checks = Checks[BackboneSubject]()
METHODS = ("text_weights", "with_text_weights")


@checks.add("TunableText", "a backbone has both text_weights and with_text_weights, or neither")
def tunable_text(subject: BackboneSubject) -> Iterator[str]:
    """Half of it is none."""
    there = [name for name in METHODS if hasattr(subject.backbone, name)]
    if not there:
        raise LeftOut("the backbone is no TunableText")
    if len(there) == 1:
        yield f"there is {there[0]} alone"


@checks.add("TunableText.text_weights", "the weights are tensors by the names that open_clip has", after="tunable_text")
def text_weights(subject: BackboneSubject) -> Iterator[str]:
    """Names and frozen tensors."""
    weights = subject.backbone.text_weights()  # type: ignore[attr-defined]
    if not isinstance(weights, Mapping) or not weights:
        yield f"gives {type(weights).__name__}, or nothing"
        return
    unknown = [name for name in weights if name.partition(".")[0] not in TEXT_WEIGHTS]
    if unknown:
        yield f"open_clip has no {unknown[0]!r} in a text tower"
    missing = [part for part in ("token_embedding", "transformer") if not _first(weights, part)]
    if missing:
        yield f"nothing is named {missing[0]}"
    if any(not isinstance(weight, Tensor) or weight.requires_grad for weight in weights.values()):
        yield "there are weights that are no tensors, or not frozen"


@checks.add(
    "TunableText.with_text_weights",
    "with its own weights a backbone is the same, and with others it is another",
    after="text_weights encode_text_again encode_text_length encode_text_alone",
)
def with_text_weights(subject: BackboneSubject) -> Iterator[str]:
    """Weights count where they are given."""
    backbone: Any = subject.backbone
    same = backbone.with_text_weights(backbone.text_weights())
    if words := difference(same.encode_text(TEXTS), backbone.encode_text(TEXTS), subject.tolerance):
        yield f"with its own weights texts have other features ({words})"
    before = backbone.encode_text(TEXTS)
    if not difference(_other(subject).encode_text(TEXTS), before, subject.tolerance):
        yield "with other weights texts have the same features"


@checks.add(
    "TunableText.with_text_weights",
    "the backbone itself never changes, and its pictures are encoded as before",
    after="with_text_weights encode_image_again encode_image_length encode_image_alone",
)
def with_text_weights_apart(subject: BackboneSubject) -> Iterator[str]:
    """What is shared stays, what is not does not leak.

    The weights are compared too: features show no shift of all channels, which layer norms take out.
    """
    backbone: Any = subject.backbone
    weights = {name: weight.clone() for name, weight in backbone.text_weights().items()}
    text, image = backbone.encode_text(TEXTS), backbone.encode_image(subject.pixels())
    other = _other(subject)
    other.encode_text(TEXTS)
    own = backbone.text_weights()
    if changed := [name for name, weight in weights.items() if not torch.equal(own[name], weight)]:
        yield f"the backbone's own {changed[0]} changed"
    if words := difference(backbone.encode_text(TEXTS), text, 1e-6):
        yield f"the backbone's own features of texts changed ({words})"
    if words := difference(other.encode_image(subject.pixels()), image, subject.tolerance):
        yield f"the other backbone has other features of pictures ({words})"


@checks.add(
    "TunableText.with_text_weights", "gradients flow to the weights", after="with_text_weights encode_embeddings"
)
def with_text_weights_learn(subject: BackboneSubject) -> Iterator[str]:
    """A weight that is given learns."""
    backbone: Any = subject.backbone
    name = _first(backbone.text_weights(), "transformer")
    weight = backbone.text_weights()[name].clone().requires_grad_()
    batch = pad_tokens(token_rows(backbone), backbone.device)
    features = backbone.with_text_weights({name: weight}).encode_embeddings(
        backbone.embed_tokens(batch.ids), batch.ends
    )
    found = gradient(features, weight)
    if found is None or not found.abs().max() > 0:
        yield f"no gradient reaches {name}"


@checks.add("TunableText.with_text_weights", "another digest for other weights", after="with_text_weights")
def with_text_weights_fingerprint(subject: BackboneSubject) -> Iterator[str]:
    """Features of the two are not interchangeable."""
    if _other(subject).fingerprint() == subject.backbone.fingerprint():
        yield "with other weights the fingerprint is the same"


def _first(weights: Mapping[str, Tensor], part: str) -> str:
    return next((name for name, weight in weights.items() if name.startswith(part) and weight.ndim == 2), "")


def _other(subject: BackboneSubject) -> Any:
    """A backbone with one matrix of another size of numbers."""
    backbone: Any = subject.backbone
    weights = backbone.text_weights()
    name = _first(weights, "transformer")
    return backbone.with_text_weights({name: weights[name] * 1.5 + 0.1})
