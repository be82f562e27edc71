"""What goes on around a training: who is told, what is kept of it, and what it is validated on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from motacli.console import NullProgress, Progress
from motacli.errors import UsageError
from motacli.processes.world import World

if TYPE_CHECKING:
    from torch import nn

    from motacli.trackers import Tracker

Validate = Callable[["nn.Module"], Mapping[str, float]]
"""Scores a network, in eval mode, on a benchmark: metric to percent."""


@dataclass(frozen=True)
class Watch:
    """The surroundings of a training, none of which changes its weights unless ``keep_best`` says so.

    ``on_step`` is told the number and the loss of every step. ``work`` is a folder where unfinished training is kept, a
    state every ``save_every`` steps; a training that finds one there goes on with it. ``validate`` is asked every
    ``validate_every`` steps and at the end, about the benchmark that ``validated_on`` names; ``keep_best`` names the
    metric whose best network is returned in place of the last, which is early stopping on what is validated on and is
    recorded as such. With ``patience`` above zero a training ends after so many looks that were no better than the
    best. ``tracker`` is given the curves. ``world`` are the processes that train together; of several the first alone
    has ``validate`` and ``tracker``, reports and keeps.
    """

    progress: Progress = field(default_factory=NullProgress)
    on_step: Callable[[int, float], None] | None = None
    work: Path | None = None
    save_every: int = 200
    validate: Validate | None = None
    validated_on: str = ""
    validate_every: int = 0
    keep_best: str = ""
    patience: int = 0
    tracker: Tracker | None = None
    world: World = field(default_factory=World)

    @property
    def validates(self) -> bool:
        """Whether there is a benchmark, whether or not it is this process that looks at it."""
        return self.validate is not None or bool(self.validated_on)

    def check_metric(self, scores: Mapping[str, float]) -> None:
        """`UsageError` where ``keep_best`` is none of the ``scores``."""
        if self.keep_best and self.keep_best not in scores:
            raise UsageError(f"validation knows no {self.keep_best!r}", f"it has {', '.join(scores)}")

    def is_best(self, earlier: Sequence[Mapping[str, float]], scores: Mapping[str, float]) -> bool:
        """Whether ``scores`` beat all ``earlier`` ones by the metric of ``keep_best``; a loss is best when low."""
        sign = -1 if self.keep_best.endswith("loss") else 1
        return all(sign * scores[self.keep_best] > sign * each[self.keep_best] for each in earlier)

    def is_hopeless(self, looks: Sequence[Mapping[str, float]]) -> bool:
        """Whether the last ``patience`` of all ``looks`` so far brought nothing better."""
        if not (self.patience and self.keep_best) or len(looks) <= self.patience:
            return False
        best = max(number for number, look in enumerate(looks) if self.is_best(looks[:number], look))
        return len(looks) - 1 - best >= self.patience
