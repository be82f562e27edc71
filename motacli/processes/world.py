"""Training in several processes, on one machine or many, as ``torchrun`` starts them: each computes a part of a batch.

Every process knows the loss of the whole batch and takes the same step, so any number of them trains like one. [ours]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn import functional as F

from motacli.errors import MotaError, UsageError, first_line
from motacli.processes.launch import process_count, processes_here
from motacli.processes.meeting import fresh_store

T = TypeVar("T")

_MEETING, _PATIENCE = timedelta(minutes=10), timedelta(days=7)
"""How long processes wait for each other at the start, and later: the first may encode or validate for hours."""


@dataclass(frozen=True)
class World:
    """This process, number ``rank`` of ``size``; alone it is the one that writes and reports.

    What others have to send comes only when all of them ask alike: they have to call these methods in the same order.
    `MotaError` where one of them has ended.
    """

    rank: int = 0
    size: int = 1
    store: Any = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def require(self, batch: int) -> None:
        """`UsageError` unless every process gets some of a batch of so many rows."""
        if batch < self.size:
            raise UsageError(
                f"a batch of {batch} is too small for {self.size} processes", "raise --batch-size or start fewer"
            )

    def part(self, count: int) -> slice:
        """Which of ``count`` rows are this process's; parts differ by one row at most."""
        return slice(*self._bounds(count)[self.rank : self.rank + 2])

    def own(self, whole: Tensor) -> Tensor:
        """This process's part of ``(B, ...)``."""
        return whole[self.part(len(whole))]

    def gather(self, part: Tensor, count: int) -> Tensor:
        """Everyone's part of ``(count, ...)``, one behind the other and without gradients."""
        part = part.detach().contiguous()
        if self.size == 1:
            return part
        sizes = [stop - start for start, stop in pairwise(self._bounds(count))]
        # As bytes, which every back end can send; and all of one length, as they have to be.
        sent = part.reshape(len(part), part.shape[1:].numel()).view(torch.uint8)
        sent = F.pad(sent, (0, 0, 0, max(sizes) - len(part))).contiguous()
        parts = [torch.empty_like(sent) for _ in sizes]
        with _talking(self.size):
            distributed.all_gather(parts, sent)
        found = torch.cat([rows[:size] for rows, size in zip(parts, sizes, strict=True)])
        return found.view(part.dtype).reshape(count, *part.shape[1:])

    def sum_gradients(self, network: nn.Module) -> None:
        """Give every process the sum of all processes' gradients."""
        if self.size == 1:
            return
        for parameter in network.parameters():
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                with _talking(self.size):
                    distributed.all_reduce(parameter.grad)

    def same_gradients(self, network: nn.Module) -> None:
        """Give every process the first's gradients, where all have computed the same up to rounding."""
        gradients = [each.grad for each in network.parameters() if each.grad is not None]
        if self.size == 1 or not gradients:
            return
        sent = torch.cat([gradient.flatten() for gradient in gradients])
        with _talking(self.size):
            distributed.broadcast(sent, src=0)
        for gradient, values in zip(gradients, sent.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(values.view_as(gradient))

    def agreed(self, make: Callable[[], T], by: int = 0) -> T:
        """What ``make`` gives in the process number ``by``, for all."""
        if self.size == 1:
            return make()
        box = [make() if self.rank == by else None]
        with _talking(self.size):
            distributed.broadcast_object_list(box, src=by)
        return box[0]  # type: ignore[return-value]

    def everyones(self, value: T) -> list[T]:
        """The values that all processes have."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        with _talking(self.size):
            distributed.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            with _talking(self.size):
                distributed.all_reduce(torch.zeros(1))

    def may_report(self) -> bool:
        """Whether this process is the first that asks to say what went wrong: for the others it is all that did."""
        if self.size == 1:
            return True
        try:
            return bool(self.store.add("reported", 1) == 1)
        except RuntimeError:
            return False  # whoever kept the count is gone, and the others with it

    def _bounds(self, count: int) -> list[int]:
        return [count * rank // self.size for rank in range(self.size + 1)]


@contextmanager
def joined_world(device: str) -> Iterator[World]:
    """The world that ``torchrun`` describes, or a process of its own; ``device`` is this process's (`own_device`)."""
    if process_count() == 1:
        yield World()
        return
    backend = "gloo"
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        if processes_here() <= torch.cuda.device_count():  # NCCL refuses processes that share a GPU
            backend = "cpu:gloo,cuda:nccl"
    try:
        found, rank, size = next(rendezvous("env://", timeout=_MEETING))
        store = fresh_store(found, rank, size, _MEETING.total_seconds())
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    except RuntimeError as error:
        raise MotaError(f"the processes did not find each other: {first_line(error)}", "see MASTER_ADDR") from error
    try:
        yield World(rank, size, store)
    finally:
        distributed.destroy_process_group()


def own_device(device: str) -> str:
    """``device``, or this process's own GPU where several processes work together and none was named by number."""
    if process_count() == 1 or device not in ("auto", "cuda"):
        return device
    if not torch.cuda.is_available():
        return "cpu" if device == "auto" else device
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


@contextmanager
def _talking(size: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        hint = "its own message, or the report of what started it, says why"
        raise MotaError(f"another of the {size} processes has ended", hint) from error
