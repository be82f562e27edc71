"""Training on several processes of one machine, as ``torchrun`` starts them: each composes a part of every batch.

All processes hold the cached features and compute the loss of the whole batch; the composed features of the others
come without gradients, so the sum of everyone's gradients is that of one process with the same batch. [ours]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from motacli.errors import UsageError
from motacli.runs import RunDir, partial_path

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process, number ``rank`` of ``size``; alone it is the one that writes and reports."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch's rows ``(B,)``; `UsageError` where they cannot be shared out evenly."""
        if len(rows) % self.size:
            raise UsageError(
                f"a batch of {len(rows)} cannot be shared out evenly among {self.size} processes",
                "change --batch-size",
            )
        return rows.chunk(self.size)[self.rank]

    def own(self, whole: Tensor) -> Tensor:
        """This process's part of what `gather` made."""
        return whole.chunk(self.size)[self.rank]

    def gather(self, part: Tensor) -> Tensor:
        """Everyone's ``(B / size, ...)`` to ``(B, ...)``, without gradients."""
        part = part.detach().contiguous()
        if self.size == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.size)]
        distributed.all_gather(parts, part)
        return torch.cat(parts)

    def sum_gradients(self, network: nn.Module) -> None:
        """Give every process the sum of all processes' gradients."""
        if self.size == 1:
            return
        for parameter in network.parameters():
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                distributed.all_reduce(parameter.grad)

    def agreed(self, make: Callable[[], T]) -> T:
        """What ``make`` gives in the first process, for all."""
        if self.size == 1:
            return make()
        box = [make() if self.first else None]
        distributed.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def joined_world(device: str) -> Iterator[World]:
    """The world that ``torchrun`` describes, or a process of its own; ``device`` says what they talk through."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        yield World()
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield World(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()


@contextmanager
def shared_run(out: Path, resume: bool, world: World) -> Iterator[RunDir]:
    """The run ``out``, which the first process makes and completes, as `RunDir.create` describes."""
    if not world.first:
        world.wait()
        yield RunDir(out, partial_path(out))
        return
    with RunDir.create(out, resume=resume) as run:
        world.wait()
        yield run


def own_device(device: str) -> str:
    """``device``, or this process's own GPU where ``torchrun`` started several and none was named by number."""
    local = os.environ.get("LOCAL_RANK")
    if local is None or int(os.environ.get("WORLD_SIZE", "1")) == 1 or device not in ("auto", "cuda"):
        return device
    if device == "auto" and not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{local}"
