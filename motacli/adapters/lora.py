"""Low-rank updates of the text tower's matrices: LoRA (Hu et al., ICLR 2022, arXiv 2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.adapters.retuned import Retuned, first_layer, text_weights
from motacli.contracts import Backbone
from motacli.errors import UnknownNameError, UsageError


@dataclass(frozen=True)
class Place:
    """A matrix within a layer: the ``part``-th of ``parts`` blocks of rows of a weight."""

    weight: str
    part: int = 0
    parts: int = 1


PLACES = {
    "q": (Place("attn.in_proj_weight", 0, 3),),
    "k": (Place("attn.in_proj_weight", 1, 3),),
    "v": (Place("attn.in_proj_weight", 2, 3),),
    "o": (Place("attn.out_proj.weight"),),
    "mlp": (Place("mlp.c_fc.weight"), Place("mlp.c_proj.weight")),
}
"""Where open_clip keeps the matrices that ``matrices`` names."""


@dataclass(frozen=True)
class LoraOptions:
    """``rank``, ``alpha`` (updates are scaled by alpha / rank) and ``dropout`` are LoRA's.

    ``matrices``: which of a layer's are updated: ``q``, ``k``, ``v``, ``o`` of attention, ``mlp`` for both of the MLP.
    ``layers``: only the last so many, all by default.
    """

    rank: int = 4
    alpha: float = 4.0
    matrices: tuple[str, ...] = ("q", "k", "v", "o")
    layers: int | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in self.matrices:
            if name not in PLACES:
                raise UnknownNameError("matrix", name, PLACES)
        if not self.matrices or len(set(self.matrices)) < len(self.matrices):
            raise ValueError("matrices must name each matrix once, and at least one")
        if self.rank < 1:
            raise ValueError(f"rank {self.rank} is below 1")
        if not self.alpha > 0:
            raise ValueError(f"alpha {self.alpha} is not above 0")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} is outside 0..1")


class LowRank(nn.Module):
    """An update ``up @ down`` of a given rank, zero at first: ``up`` ``(out, r)``, ``down`` ``(r, in)``."""

    def __init__(self, rows: int, columns: int, rank: int, dropout: float) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, columns))
        self.up = nn.Parameter(torch.zeros(rows, rank))
        self.dropout = dropout
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self) -> Tensor:
        """The update ``(out, in)``; in training some of its inputs are left out."""
        if not (self.training and self.dropout):
            return self.up @ self.down
        return self.up @ (self.down * F.dropout(torch.ones_like(self.down[:1]), self.dropout))


class Lora(Retuned):
    """``W' = W + alpha / rank * B A`` for the chosen matrices of the text tower; biases and all else stay frozen.

    [LoRA] low-rank factors, ``B`` zero at first, the scale, which matrices. [ours] that the tower is run with ``W'``
    instead of a second path beside each layer, so dropout leaves out the same inputs for all rows of a step; the
    values of the options.

    `peft` is not used: it puts its layers into the model in place, and the backbone here is shared and never changes;
    for attention whose ``q``, ``k`` and ``v`` lie in one weight it knows only one update for the three together.
    """

    name = "lora"
    Options = LoraOptions

    def __init__(self, backbone: Backbone, options: LoraOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or LoraOptions()
        frozen = text_weights(backbone)
        first = first_layer(backbone, options.layers)
        self._places = dict(_places(options.matrices, range(first, backbone.text_layers)))
        if not self._places:
            raise UsageError("no layer is updated, so nothing learns", "change layers")
        lacking = [place.weight for place in self._places.values() if place.weight not in frozen]
        if lacking:
            raise UsageError(f"backbone {backbone.name!r} has no text weight {lacking[0]!r}", "choose other matrices")
        self.updates = nn.ModuleDict()
        for key, place in self._places.items():
            rows, columns = frozen[place.weight].shape
            self.updates[key] = LowRank(rows // place.parts, columns, options.rank, options.dropout)

    def changed(self, frozen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The updated matrices, by the names of the weights they are in."""
        made: dict[str, Tensor] = {}
        for key, place in self._places.items():
            update = self.options.alpha / self.options.rank * self.updates[key]()
            blocks = list(made.get(place.weight, frozen[place.weight]).chunk(place.parts))
            blocks[place.part] = blocks[place.part] + update
            made[place.weight] = torch.cat(blocks) if place.parts > 1 else blocks[0]
        return made


def _places(matrices: Sequence[str], layers: range) -> Iterator[tuple[str, Place]]:
    for layer in layers:
        for place in (place for name in matrices for place in PLACES[name]):
            weight = f"transformer.resblocks.{layer}.{place.weight}"
            yield f"{layer}/{place.weight.replace('.', '/')}/{place.part}", Place(weight, place.part, place.parts)
