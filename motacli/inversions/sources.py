"""Where the data of a training comes from: cached features, pictures with or without captions, or captions alone.

What has to be encoded is encoded once, into the training's work folder, and gone on with after an interruption.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motacli.cache import FeatureCache, build_cache
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.datasets import open_pictures, open_source, read_captions
from motacli.encoding import encode_texts
from motacli.errors import DataError, UsageError
from motacli.inversions.data import PairFeatures
from motacli.runs import file_digest
from motacli.weights import read_part, write_part

SHARD = 20_000
"""Captions encoded between two files."""


@dataclass(frozen=True)
class TrainingData:
    """Exactly one of: a file that ``mota cache`` wrote, an image-text set, a folder of pictures, a file of captions."""

    features: Path | None = None
    pairs: Path | None = None
    images: Path | None = None
    captions: Path | None = None
    batch_size: int = 64
    workers: int = 0

    def load(self, backbone: Backbone, work: Path, progress: Progress | None = None) -> PairFeatures:
        """Read or make the features; `UsageError` unless exactly one source is given."""
        progress = progress or NullProgress()
        given = [path for path in (self.features, self.pairs, self.images, self.captions) if path is not None]
        if len(given) != 1:
            raise UsageError("say what to train on", "one of --features, --data, --images and --captions")
        if self.captions is not None:
            captions = read_captions(self.captions)
            text = caption_features(backbone, captions, work / "captions", progress)
            return PairFeatures(torch.zeros(0, backbone.joint_dim), tuple(captions), text)
        return cached_features(self._cache(backbone, work, progress), backbone)

    def digests(self) -> dict[str, str]:
        """Digests of the files that went in; of a folder its path alone, as its features' digest says the rest."""
        named = {"features": self.features, "data": self.pairs, "images": self.images, "captions": self.captions}
        return {
            name: file_digest(path) if path.is_file() else str(path) for name, path in named.items() if path is not None
        }

    def _cache(self, backbone: Backbone, work: Path, progress: Progress) -> FeatureCache:
        if self.features is not None:
            return FeatureCache(self.features)
        path = work / "features.h5"
        if path.exists():
            return FeatureCache(path)
        pairs, images = self.pairs, self.images or Path()
        items = open_pictures(images) if pairs is None else open_source(pairs, id_column="")
        return build_cache(
            path, backbone, items, batch_size=self.batch_size, workers=self.workers, progress=progress, resume=True
        )


def cached_features(cache: FeatureCache, backbone: Backbone) -> PairFeatures:
    """All of a cache as training data, with captions if it has them; `DataError` where it is another backbone's."""
    cache.require(backbone)
    captions = tuple(cache.captions()) if cache.has_captions else ()
    text = cache.text_features() if cache.has_captions else np.zeros((0, backbone.joint_dim), np.float32)
    features = [torch.as_tensor(found, dtype=torch.float32) for found in (cache.features(), text)]
    if not all(torch.isfinite(found).all() for found in features):
        raise DataError("the features hold NaN or infinity", "make the feature cache again")
    return PairFeatures(features[0], captions, features[1])


def caption_features(
    backbone: Backbone, captions: Sequence[str], work: Path, progress: Progress | None = None
) -> Tensor:
    """Features ``(N, d)`` of captions, float32, kept in ``work`` a shard at a time."""
    parts = []
    starts = range(0, len(captions), SHARD)
    for start in (progress or NullProgress()).track(starts, "encoding captions"):
        path = work / f"{start:09d}.safetensors"
        some = captions[start : start + SHARD]
        made_by = f"{backbone.fingerprint()} {hashlib.sha256(json.dumps(some).encode()).hexdigest()}"
        features = read_part(path, made_by)
        if features is None:
            features = torch.from_numpy(encode_texts(backbone, some))
            write_part(path, features, made_by)
        parts.append(features)
    return torch.cat(parts)
