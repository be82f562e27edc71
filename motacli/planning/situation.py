"""What the steps of a stage are computed from, with the few sums that several of them share."""

from __future__ import annotations

from dataclasses import dataclass

from motacli.planning.rates import Rates
from motacli.planning.steps import Lane, Step
from motacli.planning.workload import Machines, Workload


@dataclass(frozen=True)
class Situation:
    """A workload, machines and rates, seen by one stage."""

    work: Workload
    machines: Machines
    rates: Rates
    stage: str

    def rate(self, key: str) -> float:
        """A rate that the stage needs."""
        return self.rates.need(key, self.stage)

    def size(self, name: str) -> float:
        """A size of the data."""
        return self.rate(f"data.{name}")

    def on_model(self, key: str, lane: str, rows: float, units: float | None = None) -> Lane:
        """Rows through the model: ``key`` is a rate's name up to ``_per_gpu``; on all GPUs or cores in use, or so many.

        Raises `UsageError` where the rate is missing.
        """
        if self.machines.encoder == "gpus":
            return Lane(lane, "gpus", rows / (self.rate(f"{key}_per_gpu") * (units or self.machines.gpus_used)))
        return Lane(lane, "cores", rows / (self.rate(f"{key}_per_core") * (units or self.machines.cores_used)))

    def start(self, model: bool = True, on_ray: bool = False) -> Step:
        """The start of the stage's command; most load the model, and some are at home on a cluster."""
        lanes = [Lane("start", "process", self.rate(f"start.{self.stage}_seconds"))]
        if model:
            lanes.append(Lane("model", "process", self.rate("start.model_seconds")))
        if on_ray and self.machines.engine == "ray":
            lanes.append(Lane("cluster", "process", self.rate("start.ray_seconds")))
        return Step(self.stage, "start", tuple(lanes))
