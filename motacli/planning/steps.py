"""Steps of a plan. In a step several things go on at once, each on something there is only so much of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Resource = Literal["gpus", "cores", "process", "driver", "network", "endpoint", "requests in flight"]
"""What work waits for: ``process`` is the one process of each build, ``driver`` that of a cluster."""


@dataclass(frozen=True)
class Lane:
    """Something that goes on in a step: it keeps ``resource`` busy for so many ``seconds``."""

    name: str
    resource: Resource
    seconds: float


@dataclass(frozen=True)
class Sizes:
    """Bytes. ``kept`` stay when a stage is done, ``meanwhile`` are on the disk besides while it goes on.

    ``memory`` is the most that one process holds of its rows; ``network`` leaves or reaches the machines.
    """

    kept: float = 0.0
    meanwhile: float = 0.0
    memory: float = 0.0
    network: float = 0.0


@dataclass(frozen=True)
class Step:
    """Part of a command: its ``lanes`` go on side by side, and it takes as long as the resource that is busiest."""

    stage: str
    name: str
    lanes: tuple[Lane, ...]
    sizes: Sizes = field(default_factory=Sizes)
    requests: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0

    @property
    def busy(self) -> dict[Resource, float]:
        """Seconds that each resource is busy."""
        found: dict[Resource, float] = {}
        for lane in self.lanes:
            found[lane.resource] = found.get(lane.resource, 0.0) + lane.seconds
        return found

    @property
    def seconds(self) -> float:
        """How long the step takes."""
        return max(self.busy.values(), default=0.0)

    @property
    def limit(self) -> Resource:
        """The resource that is busiest."""
        busy = self.busy
        return max(busy, key=lambda resource: busy[resource])

    @property
    def limiting(self) -> tuple[Lane, ...]:
        """What keeps it busy, the longest first."""
        own = [lane for lane in self.lanes if lane.resource == self.limit]
        return tuple(sorted(own, key=lambda lane: -lane.seconds))

    @property
    def beside(self) -> tuple[Lane, ...]:
        """What has time to spare, the longest first."""
        limit = self.limit
        return tuple(sorted((lane for lane in self.lanes if lane.resource != limit), key=lambda lane: -lane.seconds))
