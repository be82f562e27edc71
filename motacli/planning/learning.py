"""`mota train-inversion` and `mota train`: what is frozen is computed once, steps count by their samples."""

from __future__ import annotations

from motacli.planning.situation import Situation
from motacli.planning.sizes import frozen_bytes, texts_memory, training_memory
from motacli.planning.steps import Lane, Sizes, Step


def inversion_steps(now: Situation) -> list[Step]:
    """One network on all pictures of the cache."""
    work, rows = now.work, now.work.pictures
    ready = Lane("read", "process", rows / now.rate("inversion.rows_per_second"))
    captions = texts_memory(rows, now.size("caption_bytes")) if work.captions else 0
    memory = rows * now.size("joint_dim") * 4 * (2 if work.captions else 1) + captions
    samples = work.inversion_steps * work.inversion_batch
    taught = now.on_model("inversion.samples_per_second", "steps", samples, _one(now))
    return [
        now.start(),
        Step(now.stage, "reading", (ready,), Sizes(memory=memory)),
        Step(now.stage, "steps", (taught,)),
    ]


def train_steps(now: Situation) -> list[Step]:
    """One adapter; ``torchrun`` shares the steps among all GPUs."""
    work, machines = now.work, now.machines
    d = now.size("joint_dim")
    texts = now.size("caption_bytes") + now.size("relative_caption_bytes") + now.size("target_caption_bytes")
    memory = training_memory(work.triplets, d) + texts_memory(work.triplets, texts)
    frozen = now.on_model("frozen.triplets_per_second", "frozen half", work.triplets, _one(now))
    samples = work.train_steps * work.train_batch
    units = machines.gpus if machines.gpus else machines.cores_of_one
    return [
        now.start(),
        Step(now.stage, "frozen half", (frozen,), Sizes(kept=frozen_bytes(work.triplets, d), memory=memory)),
        Step(now.stage, "steps", (now.on_model("train.samples_per_second", "steps", samples, units),)),
    ]


def _one(now: Situation) -> float:
    """A training is one process: one GPU, or the cores of one machine."""
    return 1 if now.machines.gpus else now.machines.cores_of_one
