"""Queries whose routing is looked at: of a triplets file, or of a benchmark's units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from motacli.adapters.frozen_half import training_prompt
from motacli.analysis.picture_sampling import lowest, one_per_picture
from motacli.analysis.triplet_samples import find_pictures
from motacli.benchmarks.protocol import EvalProtocol
from motacli.cache import FeatureCache
from motacli.console import NullProgress, Progress
from motacli.contracts import ImageRef, Prompt
from motacli.evaluating import UnitData
from motacli.results import unit_digest
from motacli.triplets.schema import iter_triplets

Captions = tuple[str, ...]


@dataclass(frozen=True)
class RoutedQuery:
    """A query: its relative captions, the types that it is of, and what its prompt is for other relative captions."""

    id: str
    picture: str
    captions: Captions
    types: tuple[str, ...]
    prompt: Callable[[Captions], Prompt] = field(repr=False)


@dataclass(frozen=True)
class RoutedQueries:
    """Queries with the features ``(Q, d)`` of their reference pictures, and where those are, as far as is known.

    ``typed_by`` says what the types are; ``digests`` are those of a benchmark's units.
    """

    queries: tuple[RoutedQuery, ...]
    features: Tensor = field(repr=False)
    typed_by: str
    pictures: dict[str, ImageRef] = field(default_factory=dict, repr=False)
    digests: dict[str, str] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.queries)


def queries_of_triplets(
    path: Path,
    cache: FeatureCache,
    template: str,
    *,
    sample: int,
    seed: int,
    images: Path | None = None,
    progress: Progress | None = None,
) -> RoutedQueries:
    """One triplet of each of ``sample`` pictures, drawn by ``seed``; ``images`` is where the pictures are."""
    rows = (progress or NullProgress()).track(iter_triplets(path), "reading triplets")
    drawn = one_per_picture(rows, sample, seed)

    queries = tuple(
        RoutedQuery(
            t.id,
            t.image,
            (t.relative_caption,),
            (t.modification_type,),
            lambda captions, t=t: training_prompt(replace(t, relative_caption=captions[0]), template),  # type: ignore[misc]
        )
        for t in drawn
    )
    ids = [t.image for t in drawn]
    pictures = {} if images is None else find_pictures(images, ids)
    return RoutedQueries(queries, torch.from_numpy(cache.features(ids)), "modification type", pictures)


def queries_of_units(
    units: Sequence[UnitData], protocol: EvalProtocol, tags_name: str, *, sample: int, seed: int
) -> RoutedQueries:
    """Queries of a benchmark: their types are their tags where any has some, and otherwise the units they belong to.

    Of tagged benchmarks, queries without a tag are left out. Where a query has several prompts the first is read.
    """
    tagged = any(query.tags for data in units for query in data.unit.queries)
    found: list[tuple[RoutedQuery, Tensor]] = []
    pictures: dict[str, ImageRef] = {}
    for data in units:
        for query, feature in zip(data.unit.queries, data.inputs.references, strict=True):
            types = query.tags if tagged else (data.unit.name,)
            if not types:
                continue
            # Ids are unique within a unit only.
            picture = f"{data.unit.name}/{query.reference}"
            pictures[picture] = data.unit.images[query.reference]
            routed = RoutedQuery(
                f"{data.unit.name}/{query.id}",
                picture,
                query.captions,
                types,
                lambda captions, q=query: protocol.prompts(replace(q, captions=captions))[0],  # type: ignore[misc]
            )
            found.append((routed, feature))
    kept = set(lowest([query.id for query, _ in found], sample, seed))
    chosen = [(query, feature) for query, feature in found if query.id in kept]
    digests = {data.unit.name: unit_digest(data.unit) for data in units}
    features = torch.stack([feature for _, feature in chosen])
    return RoutedQueries(tuple(q for q, _ in chosen), features, tags_name if tagged else "unit", pictures, digests)
