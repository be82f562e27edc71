"""A plan: the steps of all stages, their sums and costs, the bottleneck, and what would move it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from motacli.errors import UsageError
from motacli.planning.rates import Rates
from motacli.planning.situation import Situation
from motacli.planning.stages import STAGES, chosen_stages
from motacli.planning.steps import Step
from motacli.planning.workload import Machines, Prices, Workload

LEAST_SAVED = 0.01
"""A change that saves a smaller share of the time is not told."""


@dataclass(frozen=True)
class Move:
    """A change, and the seconds that all stages would take with it."""

    change: str
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What `make_plan` found. ``costs`` has one for each step."""

    work: Workload
    machines: Machines
    prices: Prices
    steps: tuple[Step, ...]
    costs: tuple[float, ...]
    moves: tuple[Move, ...]
    rates: Rates

    @property
    def seconds(self) -> float:
        """All steps, one after the other."""
        return sum(step.seconds for step in self.steps)

    @property
    def bottleneck(self) -> Step:
        """The step that takes longest."""
        return max(self.steps, key=lambda step: step.seconds)

    @property
    def cost(self) -> float:
        """Of all steps."""
        return sum(self.costs)

    @property
    def kept_bytes(self) -> float:
        """On the disk in the end."""
        return sum(step.sizes.kept for step in self.steps)

    @property
    def most_bytes(self) -> float:
        """On the disk at most: what earlier steps left, and what a stage needs while it goes on."""
        most = kept = 0.0
        for stage in dict.fromkeys(step.stage for step in self.steps):
            own = [step.sizes for step in self.steps if step.stage == stage]
            kept += sum(size.kept for size in own)
            most = max(most, kept + max(size.meanwhile for size in own))
        return most

    @property
    def network_bytes(self) -> float:
        """Of all steps."""
        return sum(step.sizes.network for step in self.steps)

    @property
    def memory_bytes(self) -> float:
        """The most that a process holds of its rows."""
        return max(step.sizes.memory for step in self.steps)


def make_plan(
    work: Workload,
    machines: Machines,
    rates: Rates,
    prices: Prices | None = None,
    stages: Sequence[str] = (),
) -> Plan:
    """What the named stages take, or all usual ones.

    Raises `UsageError` for a rate that is missing, naming it and the stage that needs it.
    """
    names, prices = chosen_stages(stages, work.triplets), prices or Prices()
    steps = _steps(work, machines, rates, names)
    costs = tuple(_cost(step, machines, prices, _on_gpus(steps, step.stage)) for step in steps)
    seconds = sum(step.seconds for step in steps)
    moves = []
    for change, other_work, others in _changes(work, machines):
        try:
            moved = sum(step.seconds for step in _steps(other_work, others, rates, names))
        except UsageError:
            continue  # nobody asked for it, so the rates that it takes may be missing
        if seconds - moved > LEAST_SAVED * seconds:
            moves.append(Move(change, moved))
    return Plan(work, machines, prices, steps, costs, tuple(sorted(moves, key=lambda move: move.seconds)), rates)


def _steps(work: Workload, machines: Machines, rates: Rates, names: Sequence[str]) -> tuple[Step, ...]:
    return tuple(step for name in names for step in STAGES[name].steps(Situation(work, machines, rates, name)))


def _on_gpus(steps: Sequence[Step], stage: str) -> bool:
    return any(lane.resource == "gpus" for step in steps if step.stage == stage for lane in step.lanes)


def _cost(step: Step, machines: Machines, prices: Prices, on_gpus: bool) -> float:
    hourly = prices.core_hour * machines.cores + (prices.gpu_hour * machines.gpus if on_gpus else 0)
    sizes = step.sizes
    kept = sizes.kept / 1e9 * prices.gb_month * prices.months
    tokens = (step.prompt_tokens * prices.prompt + step.completion_tokens * prices.completion) / 1e6
    return step.seconds / 3600 * hourly + kept + sizes.network / 1e9 * prices.gb_network + tokens


def _changes(work: Workload, machines: Machines) -> list[tuple[str, Workload, Machines]]:
    """What could be had more of."""
    found: list[tuple[str, Workload, Machines]] = []

    def more(change: str, in_work: dict[str, Any] | None = None, **in_machines: Any) -> None:
        found.append((change, replace(work, **(in_work or {})), replace(machines, **in_machines)))

    if machines.gpus:
        more(f"{2 * machines.gpus} GPUs", gpus=2 * machines.gpus)
    more(f"{2 * machines.cores} cores", cores=2 * machines.cores)
    twice = {name: 2 * getattr(machines, name) for name in ("gpus", "cores", "machines")}
    if machines.engine == "local":  # what a machine does there is a build of its own
        more(
            f"{2 * machines.machines} machines like these, with builds of their own",
            **twice,
            builds=2 * machines.builds,
        )
    else:
        more(f"{2 * machines.machines} machines like these", **twice)
    more(f"{2 * machines.builds} builds at once", builds=2 * machines.builds)
    if machines.engine == "local" and (machines.gpus > 1 or machines.machines > 1):
        more("--engine ray", engine="ray")
    if work.generator == "llm":
        more(f"{2 * work.concurrency} requests in flight", {"concurrency": 2 * work.concurrency})
    return found
