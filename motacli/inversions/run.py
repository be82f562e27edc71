"""From data to a trained inversion network and its record, interrupted or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from motacli.contracts import Backbone
from motacli.errors import UsageError
from motacli.inversions.data import PairFeatures
from motacli.inversions.files import WEIGHTS, save_inversion
from motacli.runs import PROVENANCE, RunDir, file_digest, provenance
from motacli.watch import Watch

METRICS = "metrics.json"


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
    recall_at_1: float | None
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


def fit_run(
    backbone: Backbone, build: Any, data: PairFeatures, options: Any, watch: Watch | None = None
) -> TrainedInversion:
    """Train a network of class ``build`` (a `motacli.contracts.TrainableInversion`).

    Raises `TypeError` where the record lacks what such a class has to say.
    """
    phi, record = build.fit(backbone, data, options, watch)
    if missing := [name for name in ("loss", "recall_at_1", "rows", "steps", "seconds") if name not in record]:
        raise TypeError(f"the record of its training has no {', '.join(missing)}")
    return TrainedInversion(phi, options, record)


def write_run(
    run: RunDir,
    trained: TrainedInversion,
    backbone: Backbone,
    digests: Mapping[str, str],
    plugins: Mapping[str, str] | None = None,
) -> InversionSummary:
    """Write the network, ``metrics.json`` and ``provenance.json`` to a run's folder, and remove its work.

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
    run.drop_work()
    return InversionSummary(
        inversion=str(phi.name),
        parameters=sum(p.numel() for p in phi.parameters()),
        **{name: record[name] for name in ("loss", "recall_at_1", "rows", "steps", "seconds")},
    )
