"""From cached features to a trained inversion network and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import nn

from motacli.console import Progress
from motacli.contracts import Backbone
from motacli.errors import DataError, UsageError
from motacli.inversions.data import PairFeatures
from motacli.inversions.files import WEIGHTS, save_inversion
from motacli.runs import PROVENANCE, RunDir, file_digest, provenance

METRICS = "metrics.json"


class ImageTextFeatures(Protocol):
    """What is needed of a `motacli.cache.FeatureCache`."""

    def require(self, backbone: Backbone) -> None:
        """Raise `DataError` unless ``backbone`` is the one that made these features."""

    def features(self) -> Any:
        """Float32 image features ``(N, d)``."""

    def captions(self) -> Sequence[str]:
        """``N`` captions."""

    def text_features(self) -> Any:
        """Float32 features ``(N, d)`` of the captions."""


@dataclass(frozen=True)
class TrainedInversion:
    """A finished training: the network, the options, and the record as `TrainableInversion.fit` gives it."""

    phi: nn.Module
    options: Any
    record: Mapping[str, Any]


@dataclass(frozen=True)
class InversionSummary:
    """How a training ended; ``recall_at_1`` is in 0..1, see `motacli.inversions.data.recall_at_1`."""

    inversion: str
    loss: float
    recall_at_1: float
    parameters: int
    rows: int
    steps: int
    seconds: float


def options_class(build: Any, name: str) -> Any:
    """The options of a class of inversions; `UsageError` where it cannot be trained."""
    if not (hasattr(build, "fit") and hasattr(build, "Options")):
        raise UsageError(
            f"inversion {name!r} cannot be trained: it has no fit and no Options", "give its weights instead"
        )
    return build.Options


def pair_features(cache: ImageTextFeatures, backbone: Backbone) -> PairFeatures:
    """All of a cache as training data; `DataError` where it is another backbone's or holds no captions."""
    cache.require(backbone)
    image, text = (torch.as_tensor(found, dtype=torch.float32) for found in (cache.features(), cache.text_features()))
    if not (torch.isfinite(image).all() and torch.isfinite(text).all()):
        raise DataError("the features hold NaN or infinity", "make the feature cache again")
    return PairFeatures(image, tuple(cache.captions()), text)


def fit_run(
    backbone: Backbone, build: Any, cache: ImageTextFeatures, options: Any, progress: Progress | None = None
) -> TrainedInversion:
    """Train a network of class ``build`` (a `motacli.contracts.TrainableInversion`) on all rows of a cache."""
    phi, record = build.fit(backbone, pair_features(cache, backbone), options, progress=progress)
    return TrainedInversion(phi, options, record)


def write_run(
    run: RunDir,
    trained: TrainedInversion,
    backbone: Backbone,
    digests: Mapping[str, str],
    plugins: Mapping[str, str] | None = None,
) -> InversionSummary:
    """Write the network, ``metrics.json`` and ``provenance.json`` to a run's folder.

    ``digests`` are those of the files that went in; the weights' are added.
    """
    phi, options, record = trained.phi, trained.options, trained.record
    quality = {name: record[name] for name in ("loss", "recall_at_1")}
    path = run.file(WEIGHTS)
    save_inversion(path, phi, backbone=backbone, recipe={**asdict(options), "rows": record["rows"]}, quality=quality)
    run.write_json(METRICS, record)
    weights = {"backbone": backbone.fingerprint(), "inversion": file_digest(path)}
    device, seed = str(backbone.device), getattr(options, "seed", None)
    run.write_json(PROVENANCE, provenance(plugins=plugins, device=device, seed=seed, digests={**digests, **weights}))
    return InversionSummary(
        inversion=str(phi.name),
        parameters=sum(p.numel() for p in phi.parameters()),
        **{name: record[name] for name in ("loss", "recall_at_1", "rows", "steps", "seconds")},
    )
