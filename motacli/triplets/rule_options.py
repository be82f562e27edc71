"""How the generator ``rules`` writes triplets."""

from __future__ import annotations

from dataclasses import dataclass

from motacli.errors import UnknownNameError, UsageError
from motacli.triplets.contexts import CONTEXT_MODES, MIXED


@dataclass(frozen=True)
class RuleOptions:
    """How triplets are written.

    ``rich`` is the share of relative captions that also state a piece of the target's context, ``conjunctions`` the
    share with two changes, ``restated`` the share that says its one change twice, as two annotators would, ``subject``
    the share that also names what stays.
    """

    per_image: int = 1
    context: str = MIXED
    rich: float = 0.35
    conjunctions: float = 0.35
    restated: float = 0.15
    subject: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.context not in CONTEXT_MODES:
            raise UnknownNameError("context mode", self.context, CONTEXT_MODES)
        if self.per_image < 1:
            raise UsageError(f"per_image is {self.per_image}", "ask for at least one triplet per image")
