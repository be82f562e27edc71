"""The sets of features that an analysis compares, row by row of the same pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motacli.adapters.frozen_half import training_prompt
from motacli.analysis.picture_sampling import lowest, one_per_picture
from motacli.cache import FeatureCache
from motacli.compose import TokenPrompt, batches_by_length, compose_base, tokenize_prompt
from motacli.console import NullProgress, Progress
from motacli.contracts import Adapter, Backbone, Inversion, Triplet
from motacli.encoding import encode_texts
from motacli.errors import UsageError
from motacli.triplets.schema import iter_triplets

IMAGE, MODULATED, CAPTION = "image", "image after MDM", "caption"
BASE, ADAPTED, TARGET = "base query", "adapted query", "target caption"


@dataclass(frozen=True)
class Parts:
    """What the features go through."""

    backbone: Backbone
    inversion: Inversion
    adapter: Adapter
    template: str

    @property
    def mdm(self) -> Callable[[Tensor], Tensor] | None:
        """What the adapter does to image features ahead of the inversion network, where it does anything."""
        return getattr(self.adapter, "mdm", None)


@dataclass(frozen=True)
class FeatureSets:
    """Features ``(N, d)`` by set, not normalised; row n is about picture n in all of them."""

    pictures: tuple[str, ...]
    features: dict[str, np.ndarray] = field(repr=False)
    triplets: tuple[Triplet, ...] = ()

    def units(self) -> dict[str, np.ndarray]:
        """The same as unit vectors, float64."""
        wide = {name: rows.astype(np.float64) for name, rows in self.features.items()}
        return {name: rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12) for name, rows in wide.items()}


def gather_sets(
    parts: Parts,
    cache: FeatureCache,
    triplets: Path | None,
    *,
    sample: int,
    seed: int,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> FeatureSets:
    """The features of ``sample`` pictures drawn by ``seed``, or of all where there are fewer.

    With triplets, one of each picture is drawn, which adds base and adapted queries and target captions; its reference
    caption stands in where the cache has none. Raises `DataError` where features come from another backbone or are
    missing, and where there are no captions; `UsageError` where there would be nothing to compare.
    """
    cache.require(parts.backbone)
    progress = progress or NullProgress()
    if triplets is None and parts.mdm is None:
        raise UsageError(f"adapter {parts.adapter.name!r} has no MDM to look at", "give --triplets to look at queries")
    drawn: tuple[Triplet, ...] = ()
    if triplets is not None:
        rows = progress.track(iter_triplets(triplets), "reading triplets")
        drawn = tuple(one_per_picture(rows, sample, seed))
    pictures = tuple(t.image for t in drawn) if drawn else tuple(lowest(cache.ids, sample, seed))
    features = {IMAGE: cache.features(pictures)}
    if parts.mdm is not None:
        features[MODULATED] = _modulated(parts, features[IMAGE])
    features[CAPTION] = _captions(parts, cache, pictures, drawn, batch_size, progress)
    if drawn:
        prompts = [tokenize_prompt(parts.backbone, training_prompt(t, parts.template)) for t in drawn]
        features[BASE] = _composed(parts, features[IMAGE], prompts, batch_size, adapted=False, progress=progress)
        features[ADAPTED] = _composed(parts, features[IMAGE], prompts, batch_size, adapted=True, progress=progress)
        features[TARGET] = encode_texts(parts.backbone, [t.target_caption for t in drawn], batch_size, progress)
    return FeatureSets(pictures, features, drawn)


@torch.no_grad()
def _modulated(parts: Parts, image: np.ndarray) -> np.ndarray:
    mdm: Any = parts.mdm
    found: np.ndarray = mdm(torch.from_numpy(image).to(parts.backbone.device)).float().cpu().numpy()
    return found


def _captions(
    parts: Parts,
    cache: FeatureCache,
    pictures: Sequence[str],
    drawn: Sequence[Triplet],
    batch_size: int,
    progress: Progress,
) -> np.ndarray:
    if cache.has_captions or not drawn:
        return cache.text_features(pictures)
    return encode_texts(parts.backbone, [t.reference_caption for t in drawn], batch_size, progress)


@torch.no_grad()
def _composed(
    parts: Parts, image: np.ndarray, prompts: Sequence[TokenPrompt], size: int, *, adapted: bool, progress: Progress
) -> np.ndarray:
    """Composed features ``(N, d)``, not normalised."""
    found = torch.empty(len(prompts), parts.backbone.joint_dim)
    batches: Iterable[Tensor] = progress.track(
        batches_by_length(prompts, size), f"composing {'adapted' if adapted else 'base'} queries"
    )
    for rows in batches:
        features = torch.from_numpy(image)[rows].to(parts.backbone.device)
        tokens = [prompts[row] for row in rows.tolist()]
        if adapted:
            made = parts.adapter.compose(parts.backbone, parts.inversion, features, tokens)
        else:
            made = compose_base(parts.backbone, parts.inversion, features, tokens)
        found[rows] = made.float().cpu()
    return found.numpy()
