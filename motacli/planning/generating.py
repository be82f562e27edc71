"""`mota gen-triplets`: rules on cores, a language model at an endpoint, or one on the GPUs at hand."""

from __future__ import annotations

from motacli.errors import UsageError
from motacli.planning.situation import Situation
from motacli.planning.sizes import reject_bytes, triplet_bytes
from motacli.planning.steps import Lane, Sizes, Step


def triplets_steps(now: Situation) -> list[Step]:
    """As many rows as it takes for the triplets wanted."""
    kind = "rules" if now.work.generator == "rules" else "llm"
    rows = now.work.triplets / now.rate(f"{kind}.triplets_per_row")
    sizes = _sizes(now, rows, kind)
    written = _by_rule(now, rows, sizes) if kind == "rules" else _by_model(now, rows, sizes)
    return [now.start(model=False, on_ray=True), written]


def _by_rule(now: Situation, rows: float, sizes: Sizes) -> Step:
    machines = now.machines
    edit, journal = now.rate("rules.rows_per_second_per_core"), now.rate("rules.journal_per_second")
    lanes: tuple[Lane, ...] = (
        Lane("edit", "process", rows / machines.builds / edit),
        Lane("write", "process", rows / machines.builds / journal),
    )
    if machines.engine == "ray":
        edited, written = rows / (edit * machines.cores_used), rows / machines.builds / journal
        lanes = (Lane("edit", "cores", edited), Lane("write", "driver", written))
    return Step(now.stage, "rules", lanes, sizes)


def _by_model(now: Situation, rows: float, sizes: Sizes) -> Step:
    machines, work = now.machines, now.work
    requests = rows * now.rate("llm.requests_per_row")
    tokens = requests * now.rate("llm.completion_tokens_per_request")
    lanes = [Lane("ask", "driver", requests / machines.builds / now.rate("llm.client_requests_per_second"))]
    if work.generator == "vllm":
        if not machines.gpus:
            raise UsageError("a language model in the cluster needs GPUs", "give --gpus, or --generator llm")
        speed = now.rate("llm.completion_tokens_per_second_per_gpu") * machines.gpus
        lanes.append(Lane("generate", "gpus", tokens / speed))
    else:
        waited = requests * now.rate("llm.latency_seconds") / (work.concurrency * machines.builds)
        lanes.append(Lane("wait", "requests in flight", waited))
        allowed = now.rates.optional("llm.requests_per_second")
        if allowed is not None:
            lanes.append(Lane("answer", "endpoint", requests / allowed))
    return Step(
        now.stage,
        work.generator,
        tuple(lanes),
        sizes,
        requests=requests,
        prompt_tokens=requests * now.rate("llm.prompt_tokens_per_request"),
        completion_tokens=tokens,
    )


def _sizes(now: Situation, rows: float, kind: str) -> Sizes:
    id, caption = now.size("id_bytes"), now.size("caption_bytes")
    texts = (now.size("relative_caption_bytes"), now.size("target_caption_bytes"))
    line = triplet_bytes(id, caption, *texts, now.work.generator)
    refused = reject_bytes(id, caption, now.work.generator) * now.rate(f"{kind}.rejects_per_row")
    journal = id + 35  # a row's id, its digest and six small numbers
    return Sizes(now.work.triplets * line + rows * refused, rows * journal)
