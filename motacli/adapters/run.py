"""From triplets and cached features to a trained adapter."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motacli.adapters.batches import bucketed, row_order, shuffled_batches
from motacli.adapters.domains import Domain, Draws, ImageFeatures, Mixture
from motacli.adapters.files import state_digest, tensors_digest
from motacli.adapters.frozen_half import TripletFeatures, prepare, with_base, with_entropy
from motacli.adapters.frozen_store import FrozenStore
from motacli.adapters.fusion import Fusion, choose_weight
from motacli.adapters.held_out import split_rows
from motacli.adapters.long_captions import refuse_long_prompts, refuse_long_targets
from motacli.adapters.options import TrainOptions
from motacli.adapters.training import History, train_adapter
from motacli.cache import FeatureCache
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone, Inversion, Triplet
from motacli.encoding import unique_rows
from motacli.errors import DataError, UsageError
from motacli.rows_on_disk import RowsOnDisk, hold_or_read
from motacli.watch import Watch

_BUCKETS = 1
"""Tells the order of bucketed batches from that of their rows."""
_VALIDATE = "give --validate and --data-root"


@dataclass(frozen=True)
class TrainedAdapter:
    """A finished training on ``triplets``, ``held_out`` of which were only validated on.

    ``trainable`` numbers learned; the dual encoder has ``parameters``, as the paper counts its 2.05 %. ``domains`` say
    what it had of each file of triplets, where it was told which those are. ``kept`` says which weights these are.
    """

    adapter: Any
    history: History
    training: TrainOptions
    triplets: int
    held_out: int
    seconds: float
    trainable: int
    parameters: int
    domains: tuple[Domain, ...] = ()
    kept: str = "last"
    fusion_weight: float | None = None
    validated_on: str = ""

    @property
    def share(self) -> float:
        """What was trained, as a part of the dual encoder's parameters."""
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
    store: FrozenStore | None = None,
) -> TrainedAdapter:
    """Train ``build(backbone, options)`` on the triplets; the same seed gives the same weights on the same machine.

    ``build`` is the class of an adapter: a `torch.nn.Module` with a ``name``, a frozen dataclass ``Options``, the
    attribute ``options``, ``compose`` as in `motacli.contracts.Adapter`, and a call
    ``adapter(backbone, inversion, features, prompts) -> (composed, gates)`` with features ``(B, d)`` to composed
    features ``(B, d)`` and gates ``(B, K)`` (all ones ``(B, 1)`` where nothing is mixed).

    ``mixture`` says which domains the triplets belong to, one after the other, and how often each is drawn. ``store``
    keeps what is frozen for other trainings. The processes of ``watch.world`` share every batch.

    Raises `DataError` where the features come from another backbone or lack pictures of the triplets, and what
    `prepare` and `train_adapter` raise.
    """
    training = training or TrainOptions()
    progress = progress or (watch.progress if watch else None)
    data = gather(backbone, triplets, features, training, progress, store)
    if training.needs_base:
        data = with_base(data, backbone, inversion, progress=progress, store=store)
    if training.needs_entropy:
        data = with_entropy(data, backbone.logit_scale, store)
    return train_prepared(backbone, inversion, data, build, options, training, progress, mixture, watch)


def gather(
    backbone: Backbone,
    triplets: Sequence[Triplet],
    features: ImageFeatures,
    training: TrainOptions,
    progress: Progress | None = None,
    store: FrozenStore | None = None,
) -> TripletFeatures:
    """Compute what stays frozen; it serves every inversion network and every seed. Raises as `train_run` does."""
    if training.steps < 1:
        raise UsageError(f"{training.steps} steps train nothing", "ask for at least one")
    image = image_features(backbone, triplets, features)
    if training.long_captions == "refuse":
        refuse_long_targets(backbone, triplets)
    (progress or NullProgress()).log(f"computing what stays frozen for {len(triplets)} triplets")
    return prepare(backbone, triplets, image, training.template, progress=progress, store=store)


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
    watch = watch or Watch(progress=progress or NullProgress())
    learnt, held_out = _split(data, training)
    draws = None if mixture is None else Draws(mixture.without(learnt), training)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(training.seed)
        adapter = build(backbone, options).to(backbone.device)
        fusion = _fusion(adapter, watch)
        if training.long_captions == "refuse":
            pseudo_words = inversion(data.image[:1].to(backbone.device)).shape[1]
            task_prompts = getattr(adapter, "task_prompts", 0)
            refuse_long_prompts(backbone, data.prompts, pseudo_words, task_prompts)
        watch.progress.log(_size(adapter, backbone))
        identity: dict[str, Any] = {}
        if watch.work is not None:
            identity = watch.world.agreed(lambda: _identity(adapter, backbone, inversion, data, mixture, watch))
        batches = _batches(data, training, learnt, draws)
        history = train_adapter(adapter, backbone, inversion, data, training, batches, watch, identity, held_out)
        weight = None if fusion is None else _settled_weight(fusion, adapter, watch)
    return TrainedAdapter(
        adapter=adapter,
        history=history,
        training=training,
        triplets=len(data),
        held_out=len(held_out),
        seconds=time.perf_counter() - started,
        trainable=_count(adapter),
        parameters=backbone.parameter_count(),
        domains=mixture.domains(draws.drawn) if mixture and draws else (),
        kept=f"best {watch.keep_best}" if watch.keep_best else "last",
        fusion_weight=weight,
        validated_on=watch.validated_on,
    )


def _size(adapter: Any, backbone: Backbone) -> str:
    """How much learns."""
    own, all_ = _count(adapter), backbone.parameter_count()
    return f"{own:,} numbers learn: {100 * own / all_:.3g} % of the {all_:,} of the dual encoder"


def _split(data: TripletFeatures, training: TrainOptions) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows to hold out."""
    if data.pictures is None:
        return np.arange(len(data)), np.empty(0, np.intp)
    return split_rows(data.pictures, training.held_out)


def _batches(
    data: TripletFeatures, training: TrainOptions, learnt: np.ndarray, draws: Draws | None
) -> Iterator[np.ndarray]:
    """Row numbers of each step."""
    places: Iterator[np.ndarray] = (
        iter(draws)
        if draws is not None
        else shuffled_batches(len(learnt), training.batch_size, row_order(training.seed))
    )
    rows = (learnt[each] for each in places)
    if training.bucket == 1:
        return rows
    lengths = np.array([len(prompt) for prompt in data.prompts])
    return bucketed(rows, lengths, training.bucket, row_order(training.seed, _BUCKETS))


def _fusion(adapter: Any, watch: Watch) -> Fusion | None:
    """The adapter's late fusion, if any; `UsageError` where its weight is to be validated and nothing validates."""
    fusion = getattr(adapter, "fusion", None)
    if not isinstance(fusion, Fusion) or fusion.form == "none":
        return None
    if fusion.form == "validated" and not watch.validates:
        raise UsageError("the weight of late fusion is to be chosen, and there is nothing to choose it by", _VALIDATE)
    return fusion


def _settled_weight(fusion: Fusion, adapter: Any, watch: Watch) -> float:
    """The weight of late fusion; chosen now, on the benchmark, where it is to be validated."""
    if fusion.form == "validated":

        def score() -> float:
            assert watch.validate is not None
            scores = watch.validate(adapter)
            return scores.get(watch.keep_best, next(iter(scores.values())))

        fusion.weight.fill_(watch.world.agreed(lambda: choose_weight(fusion, score)))
    return float(fusion.weight.detach())


def image_features(backbone: Backbone, triplets: Sequence[Triplet], features: ImageFeatures) -> Tensor:
    """The features of the triplets' reference images ``(N, d)``, row by row; those of one large file stay on disk."""
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
    if isinstance(features, FeatureCache):
        places = features.rows_of(images)[rows]
        found = RowsOnDisk(lambda numbers: features.at(places[numbers]), len(rows), features.joint_dim)
        return hold_or_read(found).to(backbone.device)
    return torch.as_tensor(features.features(images), dtype=torch.float32)[torch.from_numpy(rows)].to(backbone.device)


def _count(part: object) -> int:
    return sum(p.numel() for p in part.parameters()) if isinstance(part, nn.Module) else 0


def _identity(
    adapter: Any,
    backbone: Backbone,
    inversion: Inversion,
    data: TripletFeatures,
    mixture: Mixture | None,
    watch: Watch,
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
        "validation": [watch.validated_on, watch.validate_every, watch.keep_best, watch.patience],
    }
