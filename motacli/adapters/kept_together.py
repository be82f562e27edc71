"""Frozen rows that several processes compute together, and the first writes. [ours]"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motacli.adapters.kept_rows import Origin, Work, make_rows
from motacli.console import Progress
from motacli.processes.world import World


def make_together(path: Path, origin: Origin, work: Work, progress: Progress, world: World) -> None:
    """Make the file where it is missing and there are several processes: each computes some of the batches."""
    if world.size == 1 or world.agreed(path.exists):
        return
    rounds = _Rounds(work, world)
    if not world.first:
        while (numbers := world.agreed(lambda: np.empty(0))) is not None:
            rounds.go_on(numbers)
        return

    def led(numbers: np.ndarray) -> Tensor:
        if not rounds.ready:
            world.agreed(lambda: numbers)
        return rounds(numbers)

    make_rows(path, origin, replace(work, order=lambda: rounds.order, compute=led), progress)
    world.agreed(lambda: None)  # that was all


def shared_work(work: Work, world: World) -> Work:
    """The same rows, of which every process computes some batches and all have all; they ask for them alike."""
    if world.size == 1:
        return work
    rounds = _Rounds(work, world)
    return replace(work, order=lambda: rounds.order, compute=rounds)


class _Rounds:
    """Batches one after the other, but computed as many at a time as there are processes, each by one of them.

    The batches are those of one process, and so are the bits.
    """

    def __init__(self, work: Work, world: World) -> None:
        self.work, self.world, self.order = work, world, work.order()
        self.ready: deque[Tensor] = deque()

    def __call__(self, numbers: np.ndarray) -> Tensor:
        if not self.ready:
            self.go_on(numbers)
        return self.ready.popleft()

    def go_on(self, numbers: np.ndarray) -> None:
        """Compute the batch ``numbers`` and those behind it, together."""
        size, first = self.work.batch_size, int(np.flatnonzero(self.order == numbers[0])[0])
        starts = range(first, len(self.order), size)[: self.world.size]
        own = starts[self.world.part(len(starts))]
        made = torch.zeros(len(own), size, *self.work.shape)
        for batch, start in zip(made, own, strict=True):
            rows = torch.as_tensor(self.work.compute(self.order[start : start + size]))
            batch[: len(rows)] = rows.float().cpu()
        everyones = self.world.gather(made, len(starts))
        self.ready.extend(rows[: len(self.order) - start] for rows, start in zip(everyones, starts, strict=True))
