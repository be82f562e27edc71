"""`mota train-inversion` and `mota train`: what is frozen is computed once, steps count by their samples.

Both run on one process, or as ``torchrun`` starts them on one for each GPU, which share what is frozen and every batch.
"""

from __future__ import annotations

from motacli.planning.situation import Situation
from motacli.planning.sizes import frozen_bytes, held, texts_memory
from motacli.planning.steps import Lane, Sizes, Step


def inversion_steps(now: Situation) -> list[Step]:
    """One network on all pictures of the cache."""
    work, rows = now.work, now.work.pictures
    ready = Lane("read", "process", rows / now.rate("inversion.rows_per_second"))
    features = held(rows * now.size("joint_dim") * 4)
    memory = 2 * features + texts_memory(rows, now.size("caption_bytes")) if work.captions else features
    samples = work.inversion_steps * work.inversion_batch
    return [
        now.start(),
        Step(now.stage, "reading", (ready,), Sizes(memory=memory)),
        Step(now.stage, "steps", (now.on_model("inversion.samples_per_second", "steps", samples, _units(now)),)),
    ]


def train_steps(now: Situation) -> list[Step]:
    """One adapter, with what is frozen on the disk."""
    work, d = now.work, now.size("joint_dim")
    texts = (now.size("caption_bytes"), now.size("relative_caption_bytes"), now.size("target_caption_bytes"))
    rows = work.triplets * d * 4
    memory = held(rows) + held(2 * rows) + held(rows) + texts_memory(work.triplets, sum(texts))
    frozen = now.on_model("frozen.triplets_per_second", "frozen half", work.triplets, _units(now))
    samples = work.train_steps * work.train_batch
    return [
        now.start(),
        Step(now.stage, "frozen half", (frozen,), Sizes(kept=frozen_bytes(work.triplets, d), memory=memory)),
        Step(now.stage, "steps", (now.on_model("train.samples_per_second", "steps", samples, _units(now)),)),
    ]


def _units(now: Situation) -> float:
    """All GPUs, or the cores of one machine."""
    return now.machines.gpus or now.machines.cores_of_one
