"""`mota index` and `mota eval`."""

from __future__ import annotations

from dataclasses import replace

from motacli.planning.caching import pictures_step
from motacli.planning.situation import Situation
from motacli.planning.sizes import entries_bytes, hnsw_bytes, ivfpq_bytes, parts_bytes, vectors_bytes
from motacli.planning.steps import Lane, Sizes, Step

HALF = 2
"""Bytes of a number of an index, which is float16 unless told otherwise."""


def index_steps(now: Situation) -> list[Step]:
    """One index of all pictures, on one machine; from a cache, or it encodes them itself."""
    alone = replace(now, machines=replace(now.machines, builds=1, engine="local"))
    work, d, id = now.work, now.size("joint_dim"), now.size("id_bytes")
    kept = vectors_bytes(work.pictures, d, HALF) + entries_bytes(work.pictures, id)
    written = Lane("digest and write", "process", work.pictures / now.rate("index.rows_per_second"))
    meanwhile = parts_bytes(work.pictures, d, HALF, (id,)) if work.index_encodes else 0.0
    rows = Step(now.stage, "rows", (written,), Sizes(kept, meanwhile, _searched(now)))
    steps = [now.start(), *([pictures_step(alone, work.pictures)] if work.index_encodes else []), rows]
    if work.store != "exact":
        name = f"index.{work.store}_rows_per_second_per_core"
        added = Lane("add", "cores", work.pictures / (now.rate(name) * now.machines.cores_of_one))
        size = (hnsw_bytes if work.store == "hnsw" else ivfpq_bytes)(work.pictures, d)
        steps.append(Step(now.stage, work.store, (added,), Sizes(kept=size)))
    return steps


def _searched(now: Situation) -> float:
    """Bytes that a search goes through, and that memory had better hold."""
    rows, d = now.work.pictures, now.size("joint_dim")
    if now.work.store == "hnsw":
        return hnsw_bytes(rows, d) + 4 * rows
    if now.work.store == "ivfpq":
        return ivfpq_bytes(rows, d) + 4 * rows
    return vectors_bytes(rows, d, HALF)


def eval_steps(now: Situation) -> list[Step]:
    """One benchmark: its gallery is encoded, its queries are composed and compared with all of it."""
    alone = replace(now, machines=replace(now.machines, builds=1, engine="local"))
    work = now.work
    composed = alone.on_model("eval.queries_per_second", "compose", work.queries)
    compared = Lane("compare", composed.resource, work.queries * work.gallery / now.rate("eval.comparisons_per_second"))
    return [now.start(), pictures_step(alone, work.gallery), Step(now.stage, "queries", (composed, compared))]
