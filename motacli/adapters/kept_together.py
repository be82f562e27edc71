"""Frozen rows that several processes compute together, and the first writes. [ours]"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motacli.adapters.kept_rows import Origin, Work, make_rows
from motacli.console import Progress
from motacli.parallel import World


def make_together(path: Path, origin: Origin, work: Work, progress: Progress, world: World) -> None:
    """Make the file where it is missing and there are several processes: all compute a part of every batch."""
    if world.size == 1 or world.agreed(path.exists):
        return
    shared = shared_work(work, world)
    if world.first:

        def led(numbers: np.ndarray) -> Tensor:
            world.agreed(lambda: numbers)
            return shared.compute(numbers)  # type: ignore[return-value]

        make_rows(path, origin, replace(work, compute=led), progress)
        world.agreed(lambda: None)  # that was all
        return
    while (numbers := world.agreed(lambda: np.empty(0))) is not None:
        shared.compute(numbers)


def shared_work(work: Work, world: World) -> Work:
    """The same rows, of which every process computes a part and all have all; they ask for them alike."""
    if world.size == 1:
        return work

    def compute(numbers: np.ndarray) -> Tensor:
        own = numbers[world.part(len(numbers))]
        rows = work.compute(own) if len(own) else np.empty((0, *work.shape), np.float32)
        return world.gather(torch.as_tensor(rows).float().cpu(), len(numbers))

    return replace(work, compute=compute)
