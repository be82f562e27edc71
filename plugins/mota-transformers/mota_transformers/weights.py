"""A text tower's weights by open_clip's names, which adapters know, and back to those of transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

_LAYER = {
    "ln_1": "layer_norm1",
    "attn.out_proj": "self_attn.out_proj",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_KINDS = ("weight", "bias")


def to_open_clip(model: nn.Module, layers: int) -> dict[str, Tensor]:
    """All text weights of a model; ``q``, ``k`` and ``v`` are one, and CLIP's projection is transposed."""
    own = {name: weight.detach() for name, weight in model.named_parameters()}
    made = {}
    for name, parts in _names(layers, "text_projection.weight" in own):
        joined = own[parts[0]] if len(parts) == 1 else torch.cat([own[part] for part in parts])
        made[name] = joined.T if name == "text_projection" else joined
    return made


def from_open_clip(weights: Mapping[str, Tensor], layers: int, clip_head: bool) -> dict[str, Tensor]:
    """Some text weights by open_clip's names to those of transformers; gradients flow back to them."""
    made: dict[str, Tensor] = {}
    for name, parts in _names(layers, clip_head):
        if name in weights:
            weight = weights[name].T if name == "text_projection" else weights[name]
            made |= zip(parts, weight.chunk(len(parts)), strict=True)
    return made


def _names(layers: int, clip_head: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each weight's name in open_clip, and those of its parts in transformers."""
    yield "token_embedding.weight", ("text_model.embeddings.token_embedding.weight",)
    yield "positional_embedding", ("text_model.embeddings.position_embedding.weight",)
    for number in range(layers):
        ours, theirs = f"transformer.resblocks.{number}", f"text_model.encoder.layers.{number}"
        for kind in _KINDS:
            yield f"{ours}.attn.in_proj_{kind}", tuple(f"{theirs}.self_attn.{part}_proj.{kind}" for part in "qkv")
            for one, other in _LAYER.items():
                yield f"{ours}.{one}.{kind}", (f"{theirs}.{other}.{kind}",)
    for kind in _KINDS:
        yield f"ln_final.{kind}", (f"text_model.final_layer_norm.{kind}",)
    if clip_head:
        yield "text_projection", ("text_projection.weight",)
    else:
        for kind in _KINDS:
            yield f"text_projection.{kind}", (f"text_model.head.{kind}",)
