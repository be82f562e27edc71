"""The loop that trains an inversion network, whatever its objective."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.errors import DataError, MotaError
from motacli.inversions.data import PairFeatures, recall_at_1

CHECKED_ROWS = 1000
"""Rows of the data among which the record's recall is computed."""

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class InversionOptions:
    """How an inversion network is trained. Defaults suit the tiny world; the authors' recipes are in each objective."""

    steps: int = 600
    batch_size: int = 256
    lr: float = 1e-3
    wd: float = 0.01
    warmup: int = 20
    dropout: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"{self.steps} steps train nothing")
        require(self.batch_size >= 2, f"batch_size {self.batch_size} is too small: rows are told from one another")
        require(self.lr > 0, f"lr must be positive, not {self.lr}")
        require(self.wd >= 0 and self.warmup >= 0 and self.seed >= 0, "wd, warmup and seed must not be negative")
        require(0 <= self.dropout < 1, f"dropout must lie in 0..1, not be {self.dropout}")


def require(condition: bool, message: str) -> None:
    """Raise `ValueError`, which `motacli.config.parse_options` makes a `UsageError`, unless ``condition`` holds."""
    if not condition:
        raise ValueError(message)


class Objective(Protocol):
    """A training objective: rows of the data and a seeded generator on the CPU to a loss."""

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor: ...


def fit_network(
    build: Callable[..., N],
    backbone: Backbone,
    data: PairFeatures,
    options: InversionOptions,
    objective: Callable[[PairFeatures], Objective],
    on_step: Callable[[int, float], None] | None = None,
    progress: Progress | None = None,
) -> tuple[N, dict[str, Any]]:
    """Train a new network ``build(joint_dim=, text_width=, dropout=)``: the network, frozen, and the training's record.

    ``objective`` is made from the data on the backbone's device, and its time counts. The same seed gives the same
    weights on the same machine; the caller's random numbers stay as they are.
    """
    if len(data) < 2:
        raise DataError(f"{len(data)} pictures are too few to train on", "rows are told from one another")
    started = time.perf_counter()
    data = data.to(backbone.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        phi = build(joint_dim=backbone.joint_dim, text_width=backbone.text_width, dropout=options.dropout)
        phi.to(backbone.device)
        losses = train_inversion(phi, objective(data), len(data), options, on_step, progress)
    phi.requires_grad_(False)
    record = {
        "loss": losses[-1],
        "recall_at_1": recall_at_1(backbone, phi, data.image[:CHECKED_ROWS]),
        "rows": len(data),
        "steps": options.steps,
        "seconds": time.perf_counter() - started,
        "history": _history(losses),
    }
    return phi, record


def train_inversion(
    phi: nn.Module,
    objective: Objective,
    size: int,
    options: InversionOptions,
    on_step: Callable[[int, float], None] | None = None,
    progress: Progress | None = None,
) -> list[float]:
    """Train ``phi`` in place on ``size`` rows and return every step's loss; dropout draws from torch's own generator.

    Biases are exempt from weight decay, as in Pic2Word. Raises `MotaError` when the loss is not finite.
    """
    optimizer = torch.optim.AdamW(_parameter_groups(phi, options.wd), lr=options.lr)
    rng = np.random.default_rng([options.seed, 3])
    noise = torch.Generator().manual_seed(options.seed)
    losses: list[float] = []
    order, batch = np.empty(0, dtype=np.intp), min(options.batch_size, size)
    phi.train()
    for step in (progress or NullProgress()).track(range(options.steps), "training the inversion network"):
        if len(order) < batch:  # the rest is dropped: a batch with a row twice would hold it against itself
            order = rng.permutation(size)
        rows, order = order[:batch], order[batch:]
        for group in optimizer.param_groups:
            group["lr"] = options.lr * _schedule(step, options)
        loss = objective(phi, torch.from_numpy(rows), noise)
        if not torch.isfinite(loss):
            raise MotaError(f"the loss is not finite at step {step + 1}", "lower --lr, or look for broken features")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if on_step is not None:
            on_step(step + 1, losses[-1])
    phi.eval()
    return losses


def _parameter_groups(phi: nn.Module, wd: float) -> list[dict[str, Any]]:
    decayed = [p for p in phi.parameters() if p.ndim > 1]
    plain = [p for p in phi.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": wd}, {"params": plain, "weight_decay": 0.0}]


def _schedule(step: int, options: InversionOptions) -> float:
    """Linear warm-up, then half a cosine to zero."""
    return min(1.0, (step + 1) / max(options.warmup, 1)) * (0.5 + 0.5 * math.cos(math.pi * step / options.steps))


def _history(losses: Sequence[float], every: int = 10) -> dict[str, list[Any]]:
    """The losses of the first, every tenth and the last step."""
    steps = [step for step in range(1, len(losses) + 1) if step in (1, len(losses)) or step % every == 0]
    return {"step": steps, "loss": [losses[step - 1] for step in steps]}
