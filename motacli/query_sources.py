"""Where a query's vector comes from: the two halves alone, their sum, an inversion network, or a fusion of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.compose import compose_queries, late_fusion, sum_queries
from motacli.contracts import Adapter, Backbone, Inversion, Prompt
from motacli.encoding import encode_texts


@dataclass(frozen=True)
class QueryInputs:
    """What the queries of a unit are made of, in the unit's order.

    ``references`` ``(Q, d)`` are image features, not normalised; ``prompts`` holds one or more prompts per query,
    ``texts`` the relative captions alone, ``ids`` the queries' own, and ``unit`` what they are queries of.
    """

    backbone: Backbone
    references: Tensor
    prompts: Sequence[Sequence[Prompt]]
    texts: Sequence[str]
    ids: Sequence[str] = ()
    unit: str = ""

    @cached_property
    def text_features(self) -> Tensor:
        """Features ``(Q, d)`` of the relative captions, not normalised; encoded on first use and kept."""
        return torch.from_numpy(encode_texts(self.backbone, self.texts))


class QuerySource(Protocol):
    """Makes queries: `QueryInputs` to unit vectors ``(Q, d)``, float32 on the CPU. ``name`` is for tables."""

    @property
    def name(self) -> str: ...

    def vectors(self, inputs: QueryInputs) -> Tensor: ...


@dataclass(frozen=True)
class ImageOnly:
    """The reference picture alone: what looks like it."""

    name: str = "image only"

    def vectors(self, inputs: QueryInputs) -> Tensor:
        """Unit vectors ``(Q, d)``."""
        return F.normalize(inputs.references, dim=1)


@dataclass(frozen=True)
class TextOnly:
    """The relative caption alone."""

    name: str = "text only"

    def vectors(self, inputs: QueryInputs) -> Tensor:
        """Unit vectors ``(Q, d)``."""
        return F.normalize(inputs.text_features, dim=1)


@dataclass(frozen=True)
class Sum:
    """Unit image feature plus unit text feature: what an inversion network has to beat."""

    name: str = "image + text"

    def vectors(self, inputs: QueryInputs) -> Tensor:
        """Unit vectors ``(Q, d)``."""
        return sum_queries(inputs.references, inputs.text_features)


@dataclass(frozen=True)
class Composed:
    """Pseudo-words of an inversion network inside the relative caption's prompt, with an adapter or without."""

    inversion: Inversion
    adapter: Adapter | None = None

    @property
    def name(self) -> str:
        """``lincir`` or ``lincir + mota``."""
        return self.inversion.name if self.adapter is None else f"{self.inversion.name} + {self.adapter.name}"

    def vectors(self, inputs: QueryInputs) -> Tensor:
        """Unit vectors ``(Q, d)``."""
        return compose_queries(inputs.backbone, self.inversion, inputs.references, inputs.prompts, self.adapter)


@dataclass(frozen=True)
class Described:
    """A description of the target from elsewhere, by unit and query id, encoded as it is (as CIReVL does)."""

    texts: Mapping[str, Mapping[str, str]]
    name: str = "description"

    def vectors(self, inputs: QueryInputs) -> Tensor:
        """Unit vectors ``(Q, d)``."""
        texts = self.texts[inputs.unit]
        features = encode_texts(inputs.backbone, [texts[id] for id in inputs.ids])
        return F.normalize(torch.from_numpy(features), dim=1)


@dataclass(frozen=True)
class LateFusion:
    """Another source's query plus ``weight`` times the reference's unit image feature."""

    source: QuerySource
    weight: float = 0.5

    @property
    def name(self) -> str:
        """The fused source's name and the weight."""
        return f"{self.source.name} + {self.weight:g} image"

    def vectors(self, inputs: QueryInputs) -> Tensor:
        """Unit vectors ``(Q, d)``."""
        return late_fusion(self.source.vectors(inputs), inputs.references, self.weight)
