"""The loop that trains an inversion network, whatever its objective."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from motacli.errors import MotaError


@dataclass(frozen=True)
class InversionOptions:
    """How an inversion network is trained. Defaults suit the tiny world; the authors' recipes are in each objective."""

    steps: int = 600
    batch_size: int = 256
    lr: float = 1e-3
    wd: float = 0.01
    warmup: int = 20
    seed: int = 0


class Objective(Protocol):
    """A training objective: rows of the data and a seeded generator to a loss."""

    def __call__(self, phi: nn.Module, rows: Tensor, noise: torch.Generator) -> Tensor: ...


def train_inversion(
    phi: nn.Module,
    objective: Objective,
    size: int,
    options: InversionOptions,
    on_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train ``phi`` in place on ``size`` rows and return the loss of every step; the same seed gives the same weights.

    Biases are exempt from weight decay, as in Pic2Word. Raises `MotaError` when the loss is not finite.
    """
    decayed = [p for p in phi.parameters() if p.ndim > 1]
    plain = [p for p in phi.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": options.wd}, {"params": plain, "weight_decay": 0.0}], lr=options.lr
    )
    rng = np.random.default_rng([options.seed, 3])
    noise = torch.Generator().manual_seed(options.seed)
    torch.manual_seed(options.seed)
    losses: list[float] = []
    order = np.empty(0, dtype=np.intp)
    phi.train()
    for step in range(options.steps):
        if len(order) < options.batch_size:
            order = np.concatenate([order, rng.permutation(size)])
        rows, order = order[: options.batch_size], order[options.batch_size :]
        for group in optimizer.param_groups:
            progress = 0.5 + 0.5 * math.cos(math.pi * step / options.steps)
            group["lr"] = options.lr * min(1.0, (step + 1) / max(options.warmup, 1)) * progress
        loss = objective(phi, torch.from_numpy(rows), noise)
        if not torch.isfinite(loss):
            raise MotaError(f"the loss is not finite at step {step + 1}", "lower --lr, or look for broken features")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
        if on_step is not None:
            on_step(step + 1, losses[-1])
    phi.eval()
    return losses
