"""A plan as people read it: a row for each step, and a few sentences; and as programs do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from motacli.planning.plan import Plan
from motacli.planning.quantities import count_text, size_text, time_text
from motacli.planning.stages import STAGES
from motacli.planning.steps import Lane, Step

MARK = "<-- bottleneck"


def table_rows(plan: Plan) -> list[dict[str, str]]:
    """Texts by column; the step that takes longest is marked, and the last row holds the sums."""
    longest, priced = plan.bottleneck, plan.cost > 0
    rows = [_row(plan, step, cost, step is longest) for step, cost in zip(plan.steps, plan.costs, strict=True)]
    sums = {
        "stage": "all",
        "step": "",
        "time": time_text(plan.seconds),
        "share": "100 %",
        "waits for": "",
        "beside it": "",
        "disk": size_text(plan.kept_bytes),
        "meanwhile": "",
        "memory": size_text(plan.memory_bytes),
        "network": size_text(plan.network_bytes),
        "cost": _money(plan.cost),
        "": "",
    }
    rows.append(sums)
    hidden = {"cost"} if not priced else set()
    return [{name: text for name, text in row.items() if name not in hidden} for row in rows]


def sentences(plan: Plan) -> list[str]:
    """The bottleneck, what would move it, idle hardware, tokens, and where the rates are from."""
    step, machines = plan.bottleneck, plan.machines
    share = 100 * step.seconds / plan.seconds if plan.seconds else 0
    said = [f"bottleneck: {step.stage}, {step.name}: {share:.0f} % of the time; it waits for {_waits(step)}"]
    said += [
        f"with {move.change}: {time_text(move.seconds)} in all, {100 * (1 - move.seconds / plan.seconds):.0f} % less"
        for move in plan.moves
    ]
    if not plan.moves:
        said.append("no more of anything would save a hundredth of it")
    if machines.gpus_used < machines.gpus:
        said.append(
            f"{machines.gpus - machines.gpus_used} of {machines.gpus} GPUs stand idle while pictures are encoded"
        )
    if machines.machines_used < machines.machines:
        idle = machines.machines - machines.machines_used
        said.append(f"{idle} of {machines.machines} machines stand idle while pictures are encoded")
    if requests := sum(step.requests for step in plan.steps):
        into, out = (sum(getattr(one, name) for one in plan.steps) for name in ("prompt_tokens", "completion_tokens"))
        said.append(f"{count_text(requests)} requests, {count_text(into)} tokens in, {count_text(out)} out")
    if plan.most_bytes > plan.kept_bytes:
        said.append(f"on the disk at most: {size_text(plan.most_bytes)}, while a stage is under way")
    origins = Counter(rate.on for rate in plan.rates.values.values())
    told = ", ".join(f"{count} {origin}" for origin, count in origins.most_common())
    return [*said, f"rates from {plan.rates.where}: {told}"]


def record(plan: Plan) -> dict[str, Any]:
    """All of a plan, in seconds and bytes."""
    steps = []
    for step, cost in zip(plan.steps, plan.costs, strict=True):
        sizes = {f"{name}_bytes": value for name, value in asdict(step.sizes).items()}
        steps.append(
            {
                "stage": step.stage,
                "step": step.name,
                "command": STAGES[step.stage].command,
                "seconds": step.seconds,
                "waits_for": step.limit,
                "lanes": [asdict(lane) for lane in step.lanes],
                **sizes,
                "requests": step.requests,
                "prompt_tokens": step.prompt_tokens,
                "completion_tokens": step.completion_tokens,
                "cost": cost,
                "bottleneck": step is plan.bottleneck,
            }
        )
    return {
        "workload": asdict(plan.work),
        "machines": asdict(plan.machines),
        "prices": asdict(plan.prices),
        "steps": steps,
        "seconds": plan.seconds,
        "cost": plan.cost,
        "kept_bytes": plan.kept_bytes,
        "most_bytes": plan.most_bytes,
        "memory_bytes": plan.memory_bytes,
        "network_bytes": plan.network_bytes,
        "moves": [asdict(move) for move in plan.moves],
        "rates": {key: asdict(rate) for key, rate in plan.rates.values.items()},
        "conditions": plan.rates.conditions,
    }


def _row(plan: Plan, step: Step, cost: float, longest: bool) -> dict[str, str]:
    share = 100 * step.seconds / plan.seconds if plan.seconds else 0
    return {
        "stage": step.stage,
        "step": step.name,
        "time": time_text(step.seconds),
        "share": f"{share:.0f} %" if share >= 0.5 else "",
        "waits for": _waits(step),
        "beside it": ", ".join(map(_lane, step.beside)),
        "disk": _size(step.sizes.kept),
        "meanwhile": _size(step.sizes.meanwhile),
        "memory": _size(step.sizes.memory),
        "network": _size(step.sizes.network),
        "cost": _money(cost),
        "": MARK if longest else "",
    }


def _waits(step: Step) -> str:
    return f"{step.limit} ({' + '.join(lane.name for lane in step.limiting)})"


def _lane(lane: Lane) -> str:
    return f"{lane.name} {time_text(lane.seconds)}"


def _size(count: float) -> str:
    return size_text(count) if count else ""


def _money(value: float) -> str:
    return "" if value < 0.005 else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
