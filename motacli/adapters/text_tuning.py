"""Fine-tuning of the text tower: in the manner of RTD (Byun et al., ICCV 2025, arXiv 2406.09188), or of all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from motacli.adapters.retuned import Retuned, first_layer, text_weights
from motacli.contracts import Backbone
from motacli.errors import UsageError

EMBEDDINGS = ("token_embedding", "positional_embedding")


@dataclass(frozen=True)
class FullTextOptions:
    """``rate``: how fast a weight learns, as a factor of the training's learning rate.

    [ours] The default makes RTD's 1e-5 of the 4e-3 that suits adapters which start from nothing.
    """

    rate: float = 0.0025

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"rate {self.rate} is not above 0")


@dataclass(frozen=True)
class TextTuningOptions(FullTextOptions):
    """What learns: the last ``layers`` (all by default), ``embeddings`` of tokens and positions, ``projection``.

    ``norms`` are the layer norms of the layers that learn, and the one behind the last layer.
    """

    layers: int | None = None
    embeddings: bool = False
    norms: bool = True
    projection: bool = True

    def learns(self, name: str, first: int) -> bool:
        """Whether the weight of this name learns, where layers do from number ``first`` on."""
        part, *rest = name.split(".")
        if part in EMBEDDINGS:
            return self.embeddings
        if part == "text_projection":
            return self.projection
        if part == "ln_final":
            return self.norms
        _, number, piece = rest[:3]  # resblocks.0.ln_1
        return int(number) >= first and (self.norms or not piece.startswith("ln_"))


class Differences(Retuned):
    """``W' = W + rate * D`` for some weights of the text tower; ``D`` learns and is zero at first.

    [ours] Differences are learned and stored, in float32, not the weights themselves: they are as large on disk,
    but weight decay pulls towards the frozen weights and not to zero, a half-precision backbone loses no small steps,
    and a factor (``rate``) lets one learning rate suit adapters of every kind.
    """

    Options: type[Any]

    def __init__(self, names: list[str], frozen: Mapping[str, Tensor], options: Any) -> None:
        super().__init__()
        self.options = options
        self._names = {name.replace(".", "/"): name for name in names}  # a parameter's name has no dots
        self.differences = nn.ParameterDict(
            {key: nn.Parameter(torch.zeros(frozen[name].shape)) for key, name in self._names.items()}
        )

    def changed(self, frozen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tuned weights by name."""
        rate = self.options.rate
        return {name: frozen[name] + rate * self.differences[key] for key, name in self._names.items()}


class TextTuning(Differences):
    """The text tower's layers, norms and projection learn, on the objective that every adapter here has.

    [RTD] the inversion network stays frozen; only the query's text tower learns, from its pre-trained weights, on
    text triplets; the target captions that it is drawn to are encoded by the frozen tower; AdamW at 1e-5 (for 2000
    steps, ten times ours).
    Options of the training come near the rest of RTD's loss: ``reference_negatives=true`` puts each triplet's
    reference caption among the wrong answers, ``symmetric=true`` makes it two-sided, ``beta=0`` and ``anchor=0`` leave
    the paper's weights and our anchor out.
    Not as in RTD: its refined batch has a second query per triplet, the pseudo-word alone, which is drawn to the
    reference caption; its pseudo-words are made of the reference *caption* with noise, here of the picture's feature;
    its temperature is 0.07, here the backbone's own; it learns token embeddings too (``embeddings=true``); its learning
    rate is constant; it takes the step that is best on CIRR's validation set.
    """

    name = "text-tuning"
    Options = TextTuningOptions

    def __init__(self, backbone: Backbone, options: TextTuningOptions | None = None) -> None:
        options = options or TextTuningOptions()
        frozen, first = text_weights(backbone), first_layer(backbone, options.layers)
        names = [name for name in frozen if options.learns(name, first)]
        if not names:
            raise UsageError("these options leave no text weight that learns", "give more layers, or projection=true")
        super().__init__(names, frozen, options)


class FullText(Differences):
    """All of the text tower learns, embeddings included: the upper end of what text-side training can reach."""

    name = "full-text"
    Options = FullTextOptions

    def __init__(self, backbone: Backbone, options: FullTextOptions | None = None) -> None:
        frozen = text_weights(backbone)
        super().__init__(list(frozen), frozen, options or FullTextOptions())
