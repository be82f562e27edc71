"""Rows shared out among processes within a step, for losses that know nothing of processes.

Within `sharing`, every process calls the loss with the whole batch. What is cheap all compute alike, random numbers
included; what is dear goes through `own_rows` and `all_rows`, and each process computes its part of it. Values and
gradients of the whole batch are then the same in every process, and the same as in one alone. [ours]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motacli.contracts import Backbone
from motacli.encoding import by_length, encode_batch, encode_texts, unique_rows
from motacli.processes.world import World

_WORLD: ContextVar[World | None] = ContextVar("world", default=None)


@contextmanager
def sharing(world: World) -> Iterator[None]:
    """Share rows out among the processes of ``world`` inside the block, which all of them have to enter."""
    token = _WORLD.set(world)
    try:
        yield
    finally:
        _WORLD.reset(token)


def sharing_world() -> World:
    """The processes that share what is computed now; outside of `sharing` each is on its own."""
    return _WORLD.get() or World()


def own_rows(whole: Tensor) -> Tensor:
    """This process's part of ``(B, ...)``; going back, the gradient of all rows in every process."""
    world = sharing_world()
    return whole if world.size == 1 else _Own.apply(whole, world)


def all_rows(own: Tensor, count: int) -> Tensor:
    """All ``count`` rows of which every process computed its part; going back, the gradient of that part."""
    world = sharing_world()
    return own if world.size == 1 else _All.apply(own, count, world)


def encode_texts_shared(backbone: Backbone, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
    """`encode_texts`, each batch by one of the processes: features ``(N, d)``, float32, not normalised, bit by bit."""
    world = sharing_world()
    if world.size == 1:
        return encode_texts(backbone, texts, batch_size)
    unique, rows = unique_rows(texts)
    order = by_length(backbone, unique)
    starts = range(0, len(order), batch_size)
    own = starts[world.part(len(starts))]
    made = torch.zeros(len(own), batch_size, backbone.joint_dim)
    for batch, start in zip(made, own, strict=True):
        some = [unique[number] for number in order[start : start + batch_size]]
        batch[: len(some)] = torch.from_numpy(encode_batch(backbone, some))
    features = np.empty((len(unique), backbone.joint_dim), np.float32)
    features[order] = world.gather(made, len(starts)).flatten(0, 1)[: len(order)].numpy()
    return features[rows]


class _Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor, world: World) -> Tensor:
        ctx.world, ctx.count = world, len(whole)
        return world.own(whole).clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return ctx.world.gather(gradients[0], ctx.count), None


class _All(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, count: int, world: World) -> Tensor:
        ctx.world = world
        return world.gather(own, count)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return ctx.world.own(gradients[0]).contiguous(), None, None
