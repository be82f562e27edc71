"""What a search answers: the best pictures, how surely they stand out, and what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["image", "text", "composed", "sum"]
"""What a query was made of: a picture, a text, or both, by an inversion network or, without one, by their sum."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture that was found.

    ``id`` is its path relative to the folder of pictures, ``path`` where it is. ``similarity`` is the cosine of query
    and picture, ``score`` how far that stands out, see `motacli.search.calibration`.
    """

    id: str
    path: str
    score: float
    similarity: float
    metadata: Mapping[str, str | float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked. ``images`` are the names of pictures from outside the index, ``references`` ids inside it.

    ``inversion`` and ``adapter`` name what composed the query; None where nothing did.
    """

    text: str = ""
    negative: str = ""
    images: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    alpha: float = 0.0
    k: int = 20
    min_score: float | None = None
    where: tuple[str, ...] = ()
    inversion: str | None = None
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """How similar a sample of the index's ``rows`` pictures is to a query; by it similarities become scores.

    ``calibrated`` is false where the index is too small to say, see `motacli.search.calibration`.
    """

    mean: float
    std: float
    rows: int
    calibrated: bool


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The best pictures, best first; ``total`` pictures were searched, which took ``ms`` milliseconds."""

    results: tuple[Hit, ...]
    kind: Kind
    query: Asked
    total: int
    background: Background
    ms: float

    def record(self, *, paths: bool = True) -> dict[str, Any]:
        """The answer as ``mota search --json`` and the HTTP API give it.

        Without ``paths``, ``path`` is relative to the folder of pictures, for readers whose business the rest is not.
        """
        return {
            "results": [
                {
                    "id": hit.id,
                    "path": hit.path if paths else hit.id,
                    "score": hit.score,
                    "similarity": hit.similarity,
                    "metadata": dict(hit.metadata),
                }
                for hit in self.results
            ],
            "kind": self.kind,
            "query": self.query,
            "total": self.total,
            "background": self.background,
            "ms": self.ms,
        }
