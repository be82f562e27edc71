"""What goes on around a training: who is told, what is kept of it, and what it is validated on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from motacli.console import NullProgress, Progress

if TYPE_CHECKING:
    from torch import nn

Validate = Callable[["nn.Module"], Mapping[str, float]]
"""Scores a network, in eval mode, on a benchmark: metric to percent."""


@dataclass(frozen=True)
class Watch:
    """The surroundings of a training, none of which changes its weights unless ``keep_best`` says so.

    ``on_step`` is told the number and the loss of every step. ``work`` is a folder where unfinished training is kept, a
    state every ``save_every`` steps; a training that finds one there goes on with it. ``validate`` is asked every
    ``validate_every`` steps and at the end; ``keep_best`` names the metric whose best network is returned in place of
    the last, which is early stopping on a benchmark and is recorded as such.
    """

    progress: Progress = field(default_factory=NullProgress)
    on_step: Callable[[int, float], None] | None = None
    work: Path | None = None
    save_every: int = 200
    validate: Validate | None = None
    validate_every: int = 0
    keep_best: str = ""
