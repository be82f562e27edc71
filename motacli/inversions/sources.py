"""Where the data of a training comes from: cached features, pictures with or without captions, or captions alone.

What has to be encoded is encoded once, into the training's work folder, and gone on with after an interruption.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motacli.cache import FeatureCache, build_cache
from motacli.cache.gathering import Runs, gather
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.datasets import open_pictures, open_source, read_captions
from motacli.errors import DataError, UsageError
from motacli.inversions.data import PairFeatures
from motacli.processes.launch import is_first_here
from motacli.processes.sharing import encode_texts_shared, sharing
from motacli.processes.world import World
from motacli.remote.urls import shown
from motacli.rows_on_disk import RowsOnDisk, all_finite, hold_or_read
from motacli.runs import file_digest
from motacli.weights import place_of_part, read_part, write_part

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

    def load(
        self, backbone: Backbone, work: Path, progress: Progress | None = None, world: World | None = None
    ) -> PairFeatures:
        """Read or make the features; `UsageError` unless exactly one source is given.

        Of several processes the first makes them, for all, in the folder ``work`` that they share.
        """
        progress, world = progress or NullProgress(), world or World()
        given = [path for path in (self.features, self.pairs, self.images, self.captions) if path is not None]
        if len(given) != 1:
            raise UsageError("say what to train on", "one of --features, --data, --images and --captions")
        if self.captions is not None:
            captions = read_captions(self.captions)
            text = caption_features(backbone, captions, work / "captions", progress, world)
            return PairFeatures(torch.zeros(0, backbone.joint_dim), tuple(captions), text)
        path = self.features or world.agreed(lambda: self._made(backbone, work, progress))
        # One process of each machine computes the file's checksums.
        return cached_features(FeatureCache(path, check=is_first_here()), backbone, world)

    def digests(self) -> dict[str, str]:
        """Digests of the files that went in; of a folder its path alone, as its features' digest says the rest."""
        named = {"features": self.features, "data": self.pairs, "images": self.images, "captions": self.captions}
        return {
            name: file_digest(path) if path.is_file() else shown(path)
            for name, path in named.items()
            if path is not None
        }

    def _made(self, backbone: Backbone, work: Path, progress: Progress) -> Path:
        path = work / "features.h5"
        if not path.exists():
            pairs, images = self.pairs, self.images or Path()
            items = open_pictures(images) if pairs is None else open_source(pairs, id_column="")
            size, workers = self.batch_size, self.workers
            build_cache(path, backbone, items, batch_size=size, workers=workers, progress=progress, resume=True)
        return path


def cached_features(cache: FeatureCache, backbone: Backbone, world: World | None = None) -> PairFeatures:
    """All of a cache as training data, with captions if it has them; `DataError` where it is another backbone's.

    Its features are held in memory, or read batch by batch where that would be too much, see `hold_or_read`.
    """
    cache.require(backbone)
    world, count, width = world or World(), len(cache), cache.joint_dim
    captions = tuple(cache.captions()) if cache.has_captions else ()
    names = ["features", *(["text_features"] if captions else [])]
    read = {name: RowsOnDisk(partial(cache.at, name=name), count, width) for name in names}
    image, text = hold_or_read(read["features"]), torch.zeros(0, width)
    if captions:
        text = hold_or_read(read["text_features"])
    if not world.agreed(lambda: all_finite(image) and all_finite(text)):
        raise DataError("the features hold NaN or infinity", "make the feature cache again")
    return PairFeatures(image, captions, text)


def caption_features(
    backbone: Backbone,
    captions: Sequence[str],
    work: Path,
    progress: Progress | None = None,
    world: World | None = None,
) -> Tensor:
    """Features ``(N, d)`` of captions, float32, kept in ``work`` a shard at a time, then held or read (`hold_or_read`).

    Several processes encode a part of each shard.
    """
    world, paths = world or World(), []
    starts = range(0, len(captions), SHARD)
    for start in (progress or NullProgress()).track(starts, "encoding captions"):
        paths.append(work / f"{start:09d}.safetensors")
        some = captions[start : start + SHARD]
        made_by = f"{backbone.fingerprint()} {hashlib.sha256(json.dumps(some).encode()).hexdigest()}"
        if world.agreed(lambda: read_part(paths[-1], made_by) is None):  # noqa: B023
            with sharing(world):
                features = encode_texts_shared(backbone, some)
            if world.first:
                write_part(paths[-1], torch.from_numpy(features), made_by)
    world.wait()  # until the last is written
    places = np.array([place_of_part(path) for path in paths], np.int64)
    runs = Runs(np.array(starts, np.int64), places, np.arange(len(paths)), tuple(paths))
    width, float32 = backbone.joint_dim, np.dtype(np.float32)
    return hold_or_read(RowsOnDisk(lambda rows: gather(runs, rows, float32, width), len(captions), width))
