"""From triplets and cached features to a trained adapter."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from motacli.adapters.domains import Domain, Draws, ImageFeatures, Mixture
from motacli.adapters.files import WEIGHTS, save_adapter, state_digest, tensors_digest
from motacli.adapters.frozen_half import TripletFeatures, prepare
from motacli.adapters.options import TrainOptions
from motacli.adapters.training import History, train_adapter
from motacli.assignments import write_assignments
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone, Inversion, Triplet
from motacli.encoding import unique_rows
from motacli.errors import DataError, UsageError
from motacli.runs import PROVENANCE, RunDir, file_digest, provenance
from motacli.watch import Watch


@dataclass(frozen=True)
class TrainedAdapter:
    """A finished training. ``trainable`` of ``parameters`` numbers learned; the rest is backbone and inversion.

    ``domains`` say what it had of each file of triplets, where it was told which those are.
    """

    adapter: Any
    history: History
    training: TrainOptions
    triplets: int
    seconds: float
    trainable: int
    parameters: int
    domains: tuple[Domain, ...] = ()

    @property
    def share(self) -> float:
        """The part of all parameters that was trained, in 0..1."""
        return self.trainable / self.parameters


def train_run(
    backbone: Backbone,
    inversion: Inversion,
    triplets: Sequence[Triplet],
    features: ImageFeatures,
    build: Callable[[Backbone, Any], Any],
    options: Any,
    training: TrainOptions | None = None,
    progress: Progress | None = None,
    mixture: Mixture | None = None,
    watch: Watch | None = None,
) -> TrainedAdapter:
    """Train ``build(backbone, options)`` on the triplets; the same seed gives the same weights on the same machine.

    ``build`` is the class of an adapter: a `torch.nn.Module` with a ``name``, a frozen dataclass ``Options``, the
    attribute ``options``, ``compose`` as in `motacli.contracts.Adapter`, and a call
    ``adapter(backbone, inversion, features, prompts) -> (composed, gates)`` with features ``(B, d)`` to composed
    features ``(B, d)`` and gates ``(B, K)`` (all ones ``(B, 1)`` where nothing is mixed).

    ``mixture`` says which domains the triplets belong to, one after the other, and how often each is drawn.

    Raises `DataError` where the features come from another backbone or lack pictures of the triplets, and what
    `prepare` and `train_adapter` raise.
    """
    training = training or TrainOptions()
    data = gather(backbone, triplets, features, training, progress)
    return train_prepared(backbone, inversion, data, build, options, training, progress, mixture, watch)


def gather(
    backbone: Backbone,
    triplets: Sequence[Triplet],
    features: ImageFeatures,
    training: TrainOptions,
    progress: Progress | None = None,
) -> TripletFeatures:
    """Compute what stays frozen; it serves every inversion network and every seed. Raises as `train_run` does."""
    if training.steps < 1:
        raise UsageError(f"{training.steps} steps train nothing", "ask for at least one")
    image = image_features(backbone, triplets, features)
    (progress or NullProgress()).log(f"computing what stays frozen for {len(triplets)} triplets")
    return prepare(backbone, triplets, image, training.template)


def train_prepared(
    backbone: Backbone,
    inversion: Inversion,
    data: TripletFeatures,
    build: Callable[[Backbone, Any], Any],
    options: Any,
    training: TrainOptions,
    progress: Progress | None = None,
    mixture: Mixture | None = None,
    watch: Watch | None = None,
) -> TrainedAdapter:
    """`train_run` on what `gather` computed. Training says how far it is to ``watch``, or else to ``progress``."""
    started = time.perf_counter()
    draws = None if mixture is None else Draws(mixture, training)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(training.seed)
        adapter = build(backbone, options).to(backbone.device)
        watch = watch or Watch(progress=progress or NullProgress())
        identity = {} if watch.work is None else _identity(adapter, backbone, inversion, data, mixture)
        history = train_adapter(adapter, backbone, inversion, data, training, draws, watch, identity)
    trainable = _count(adapter)
    return TrainedAdapter(
        adapter=adapter,
        history=history,
        training=training,
        triplets=len(data),
        seconds=time.perf_counter() - started,
        trainable=trainable,
        parameters=trainable + backbone.parameter_count() + _count(inversion),
        domains=mixture.domains(draws.drawn) if mixture and draws else (),
    )


@dataclass(frozen=True)
class TrainSummary:
    """How a training ended; ``trainable_percent`` relates to adapter, inversion network and backbone together.

    ``domains`` say how many triplets each file held, and how many rows of the batches came from it.
    """

    loss: float
    accuracy: float
    trainable: int
    trainable_percent: float
    triplets: int
    steps: int
    seconds: float
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
        steps=training.steps,
        seconds=trained.seconds,
        domains=trained.domains,
    )
    digest = state_digest(inversion)
    save_adapter(
        run.work,
        trained.adapter,
        inversion=inversion.name,
        backbone=backbone,
        about={"training": asdict(training), "triplets": trained.triplets},
        inversion_digest=digest,
    )
    run.write_json("metrics.json", {**asdict(summary), "history": history})
    weights = {"backbone": backbone.fingerprint(), "inversion": digest or "", "adapter": file_digest(run.file(WEIGHTS))}
    device, seed = str(backbone.device), training.seed
    run.write_json(PROVENANCE, provenance(plugins=plugins, device=device, seed=seed, digests={**digests, **weights}))
    run.drop_work()
    return summary


FLAGS = ("steps", "lr", "wd", "batch_size", "warmup", "beta", "seed")
"""The training options that are flags of ``mota train``; their defaults are those of `TrainOptions`."""


def settled_options(training: TrainOptions, shape: Any) -> dict[str, object]:
    """All options of training and shape as ``config.json`` holds them: a change of defaults then changes no re-run."""
    values = asdict(training)
    flags = {name: values.pop(name) for name in FLAGS}
    more = {"option": write_assignments(asdict(shape)), "train_option": write_assignments(values)}
    return {**flags, **more}


def image_features(backbone: Backbone, triplets: Sequence[Triplet], features: ImageFeatures) -> Tensor:
    """The features of the triplets' reference images ``(N, d)``, row by row."""
    if features.fingerprint != backbone.fingerprint():
        raise DataError(
            f"the features come from another backbone ({features.fingerprint}) than {backbone.name!r} "
            f"({backbone.fingerprint()})",
            "give the --model they were made with, or make them again with `mota cache`",
        )
    images, rows = unique_rows([triplet.image for triplet in triplets])
    known = set(features.ids)
    missing = [image for image in images if image not in known]
    if missing:
        raise DataError(
            f"{len(missing)} of the triplets' {len(images)} pictures have no features, the first is {missing[0]!r}",
            "give the features of the data set that the triplets were written from",
        )
    return torch.as_tensor(features.features(images), dtype=torch.float32)[torch.from_numpy(rows)].to(backbone.device)


def _count(part: object) -> int:
    return sum(p.numel() for p in part.parameters()) if isinstance(part, nn.Module) else 0


def _identity(
    adapter: Any, backbone: Backbone, inversion: Inversion, data: TripletFeatures, mixture: Mixture | None
) -> dict[str, Any]:
    """What a training that is to go on must have in common with the one that stopped."""
    parts = {"image": data.image, "target": data.target, "reference": data.reference}
    return {
        "adapter": adapter.name,
        "options": asdict(adapter.options),
        "backbone": backbone.fingerprint(),
        "inversion": state_digest(inversion),
        "data": tensors_digest(parts),
        "prompts": hashlib.sha256(repr(data.prompts).encode()).hexdigest()[:16],
        "mixture": None if mixture is None else asdict(mixture),
    }
