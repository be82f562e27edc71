"""Trains an adapter on text-anchored triplets: what is frozen is computed once, a step runs the prompted text half."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motacli.adapters.batches import row_order, shuffled_batches
from motacli.adapters.frozen_half import TripletFeatures, with_base
from motacli.adapters.objective import candidate_entropy, entropy_weights, weighted_info_nce
from motacli.adapters.options import TrainOptions
from motacli.adapters.prompts import balance_loss
from motacli.compose import TokenPrompt, batches_by_length
from motacli.contracts import Backbone, Inversion
from motacli.errors import MotaError
from motacli.training_state import TrainingState
from motacli.watch import Watch

CHUNK = 32
"""Rows that go through the text encoder together."""


@dataclass
class History:
    """What a training saw: one value per logged step."""

    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    usage: list[list[float]] = field(default_factory=list)


def train_adapter(
    adapter: Any,
    backbone: Backbone,
    inversion: Inversion,
    data: TripletFeatures,
    options: TrainOptions,
    batches: Iterator[np.ndarray] | None = None,
    watch: Watch | None = None,
    identity: Mapping[str, Any] | None = None,
) -> History:
    """Train ``adapter`` in place for ``options.steps`` steps; the same seed gives the same weights.

    ``batches`` are the row numbers of each step, by default `shuffled_batches` of all rows. Where ``watch`` has a
    folder for work, a state is kept there, and a training of the same ``identity`` that finds one goes on with it and
    ends with the weights of one that ran through, bit for bit on a CPU. Raises `MotaError` when the loss is not finite.
    """
    watch, data = watch or Watch(), data.to(backbone.device)
    if options.needs_base and data.base is None:
        data = with_base(data, backbone, inversion)
    calibrate = getattr(adapter, "calibrate", None)
    if calibrate is not None:
        calibrate(data.image)
    unit = data.image.float().pow(2).mean().sqrt()
    state = TrainingState({**(identity or {}), "training": asdict(options)}, adapter, _optimizer(adapter, options))
    noise = torch.Generator().manual_seed(options.seed)
    if batches is None:
        batches = shuffled_batches(len(data), options.batch_size, row_order(options.seed))
    if watch.work is not None and state.load(watch.work):
        watch.progress.log(f"going on after {state.step} of {options.steps} steps")
        noise.set_state(state.random["noise"])
        torch.set_rng_state(state.random["torch"])
        for _ in range(state.step):
            next(batches)
    adapter.train()
    for step in watch.progress.track(range(state.step, options.steps), "training the adapter"):
        drawn = torch.from_numpy(next(batches))
        for group in state.optimizer.param_groups:
            group["lr"] = options.lr * _schedule(step, options)
        loss, gates, accuracy = _step_loss(adapter, backbone, inversion, data, drawn, options, unit, noise)
        if not torch.isfinite(loss):
            raise MotaError(f"the loss is not finite at step {step + 1}", "lower --lr, or look for broken features")
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        state.optimizer.step()
        state.step = step + 1
        if state.step % 10 == 0 or state.step == options.steps:
            usage = [round(float(g), 4) for g in gates.detach().mean(0)]
            state.checks.append(
                {"step": state.step, "loss": float(loss.detach()), "accuracy": accuracy, "usage": usage}
            )
        if watch.on_step is not None:
            watch.on_step(state.step, float(loss.detach()))
        if watch.work is not None and state.step % watch.save_every == 0:
            state.random = {"noise": noise.get_state(), "torch": torch.get_rng_state()}
            state.save(watch.work)
    adapter.eval()
    return History(**{name: [check[name] for check in state.checks] for name in ("step", "loss", "accuracy", "usage")})


def _optimizer(adapter: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW; vectors, and parameters of more than two dimensions such as prompts, are exempt from weight decay."""
    decayed = [p for p in adapter.parameters() if p.ndim == 2]
    plain = [p for p in adapter.parameters() if p.ndim != 2]
    groups = [{"params": decayed, "weight_decay": options.wd}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.lr)


def compose_in_chunks(
    adapter: Any, backbone: Backbone, inversion: Inversion, features: Tensor, prompts: Sequence[TokenPrompt]
) -> tuple[Tensor, Tensor]:
    """What the adapter gives for all rows, computed for `CHUNK` rows of like length at a time: composed, gates.

    The numbers are those of one call, and each chunk is only as long as its own longest text. [ours]
    """
    parts = batches_by_length(prompts, CHUNK)
    made = [adapter(backbone, inversion, features[part], [prompts[row] for row in part.tolist()]) for part in parts]
    back = torch.cat(parts).argsort()
    return torch.cat([composed for composed, _ in made])[back], torch.cat([gates for _, gates in made])[back]


def _schedule(step: int, options: TrainOptions) -> float:
    """Linear warm-up, then half a cosine to zero."""
    return min(1.0, (step + 1) / max(options.warmup, 1)) * (0.5 + 0.5 * math.cos(math.pi * step / options.steps))


def _step_loss(
    adapter: Any,
    backbone: Backbone,
    inversion: Inversion,
    data: TripletFeatures,
    rows: Tensor,
    options: TrainOptions,
    unit: Tensor,
    noise: torch.Generator,
) -> tuple[Tensor, Tensor, float]:
    """The loss of the triplets ``rows`` ``(B,)``; ``unit`` is the size of the image features' entries."""
    features = data.image[rows]
    if options.noise:
        drawn = torch.randn(features.shape, generator=noise).to(features.device)
        features = features + options.noise * unit * drawn
    prompts = [data.prompts[row] for row in rows.tolist()]
    composed, gates = compose_in_chunks(adapter, backbone, inversion, features, prompts)
    target, scale = data.target[rows], backbone.logit_scale
    negatives = data.reference[rows] if options.reference_negatives else None
    weights = None
    if options.beta and data.base is not None:
        candidates = target if options.scope == "batch" else data.target[:: max(1, len(data) // 1024)]
        entropy = candidate_entropy(data.base[rows], F.normalize(candidates, dim=1), scale)
        weights = entropy_weights(entropy, options.beta)
    loss = weighted_info_nce(composed, target, scale, weights, negatives, options.symmetric)
    if options.balance and gates.shape[1] > 1:
        loss = loss + options.balance * balance_loss(gates)
    if options.anchor and data.base is not None:
        loss = loss + options.anchor * (1 - F.cosine_similarity(composed, data.base[rows], dim=1).mean())
    similarity = F.normalize(composed.detach(), dim=1) @ F.normalize(target, dim=1).T
    accuracy = float((similarity.argmax(1).cpu() == torch.arange(len(rows))).float().mean())
    return loss, gates, accuracy
