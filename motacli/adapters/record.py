"""What a finished training leaves in its run's folder: adapter, metrics, options, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from motacli.adapters.domains import Domain
from motacli.adapters.files import WEIGHTS, save_adapter, state_digest
from motacli.adapters.options import TrainOptions
from motacli.adapters.run import TrainedAdapter
from motacli.assignments import write_assignments
from motacli.contracts import Backbone, Inversion
from motacli.runs import PROVENANCE, RunDir, file_digest, provenance


@dataclass(frozen=True)
class TrainSummary:
    """How a training ended; ``trainable_percent`` relates to the dual encoder's parameters.

    ``held_out`` triplets of all were validated on, ``validation`` is what the last look found, and ``kept`` says which
    weights are returned: the last, or those best by a metric, of step ``kept_step``. ``domains`` say how many triplets
    each file held, and how many rows of the batches came from it.
    """

    loss: float
    accuracy: float
    trainable: int
    trainable_percent: float
    triplets: int
    held_out: int
    steps: int
    seconds: float
    kept: str
    kept_step: int
    fusion_weight: float | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    domains: tuple[Domain, ...] = ()


def write_run(
    run: RunDir,
    trained: TrainedAdapter,
    backbone: Backbone,
    inversion: Inversion,
    digests: Mapping[str, str],
    plugins: Mapping[str, str] | None = None,
) -> TrainSummary:
    """Write the adapter, ``metrics.json`` (summary and history) and ``provenance.json`` to a run's folder.

    The work that an unfinished training kept there is removed.
    ``digests`` are those of the files that went in; the weights' are added.
    """
    history, training = trained.history, trained.training
    summary = TrainSummary(
        loss=history.loss[-1],
        accuracy=history.accuracy[-1],
        trainable=trained.trainable,
        trainable_percent=100 * trained.share,
        triplets=trained.triplets,
        held_out=trained.held_out,
        steps=history.step[-1],
        seconds=trained.seconds,
        kept=trained.kept,
        kept_step=history.kept_step,
        fusion_weight=trained.fusion_weight,
        validation=history.validation[-1] if history.validation else {},
        domains=trained.domains,
    )
    digest = state_digest(inversion)
    save_adapter(
        run.work,
        trained.adapter,
        inversion=inversion.name,
        backbone=backbone,
        about={
            "training": asdict(training),
            "triplets": trained.triplets,
            "held_out": trained.held_out,
            "kept": trained.kept,
            "validated_on": trained.validated_on,
        },
        inversion_digest=digest,
    )
    run.write_json("metrics.json", {**asdict(summary), "history": history})
    weights = {"backbone": backbone.fingerprint(), "inversion": digest or "", "adapter": file_digest(run.file(WEIGHTS))}
    device, seed = str(backbone.device), training.seed
    run.write_json(PROVENANCE, provenance(plugins=plugins, device=device, seed=seed, digests={**digests, **weights}))
    run.drop_work()
    return summary


FLAGS = ("steps", "lr", "wd", "batch_size", "warmup", "beta", "held_out", "seed")
"""The training options that are flags of ``mota train``; their defaults are those of `TrainOptions`."""


def settled_options(training: TrainOptions, shape: Any) -> dict[str, object]:
    """All options of training and shape as ``config.json`` holds them: a change of defaults then changes no re-run."""
    values = asdict(training)
    flags = {name: values.pop(name) for name in FLAGS}
    more = {"option": write_assignments(asdict(shape)), "train_option": write_assignments(values)}
    return {**flags, **more}
