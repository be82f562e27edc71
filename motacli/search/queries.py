"""One question to one unit vector, by the query sources that `mota eval` scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motacli.benchmarks.protocol import PromptRule
from motacli.contracts import Adapter, Backbone, Inversion
from motacli.encoding import encode_texts
from motacli.query_sources import Composed, ImageOnly, QueryInputs, QuerySource, Sum, TextOnly
from motacli.search.results import Kind

NEGATIVE_WEIGHT = 0.4
"""How much of a negative text's direction leaves the query: our choice."""


@dataclass(frozen=True)
class Composer:
    """What turns a question into a vector; without an inversion network pictures and texts are added."""

    backbone: Backbone
    prompt: PromptRule
    inversion: Inversion | None = None
    adapter: Adapter | None = None

    def vector(
        self, features: np.ndarray, text: str = "", *, negative: str = "", alpha: float = 0.0, adapted: bool = True
    ) -> np.ndarray:
        """The unit vector ``(d,)``, float32, of pictures' features ``(R, d)``, not normalised, and a text.

        ``alpha`` in [0, 1) leads from the composition (0) to the pictures alone; with only one of the two it is without
        effect. ``adapted`` false leaves the adapter out.
        """
        references = merged(features)
        kind = kind_of(len(references), text, self.inversion is not None)
        inputs = QueryInputs(self.backbone, references, [self.prompt.render((text,))], [text])
        query = self._source(kind, adapted).vectors(inputs)
        if alpha and kind in ("composed", "sum"):
            query = F.normalize((1 - alpha) * query + alpha * F.normalize(references, dim=1), dim=1)
        if negative:
            query = F.normalize(query - NEGATIVE_WEIGHT * self._text(negative), dim=1)
        vector: np.ndarray = query[0].numpy()
        return vector

    def _source(self, kind: Kind, adapted: bool) -> QuerySource:
        if kind == "composed" and self.inversion is not None:
            return Composed(self.inversion, self.adapter if adapted else None)
        plain: dict[Kind, QuerySource] = {"image": ImageOnly(), "text": TextOnly()}
        return plain.get(kind, Sum())

    def _text(self, text: str) -> Tensor:
        return F.normalize(torch.from_numpy(encode_texts(self.backbone, [text])), dim=1)


def kind_of(pictures: int, text: str, inverts: bool) -> Kind:
    """What a query of so many pictures and a text is made of, with an inversion network or without."""
    if not text:
        return "image"
    if not pictures:
        return "text"
    return "composed" if inverts else "sum"


def image_vector(features: np.ndarray) -> np.ndarray:
    """The unit vector ``(d,)`` of pictures alone, which takes no backbone; as `Composer.vector` makes it."""
    vector: np.ndarray = F.normalize(merged(features), dim=1)[0].numpy()
    return vector


def merged(features: np.ndarray) -> Tensor:
    """Features ``(R, d)``, not normalised, of pictures that are one reference together, as ``(1, d)``; none stay none.

    The direction is the mean's of the unit features, the length the mean length, which inversion networks know.
    """
    rows = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
    if len(rows) < 2:
        return rows
    direction = F.normalize(F.normalize(rows, dim=1).mean(dim=0, keepdim=True), dim=1)
    return direction * rows.norm(dim=1).mean()
