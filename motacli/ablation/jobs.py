"""One training and its scores: what identifies it, where it is kept, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from motacli.ablation.data import AblationData
from motacli.ablation.grid import Grid
from motacli.ablation.triplet_sets import TripletSets
from motacli.ablation.variant import BASE, Variant, digest_of
from motacli.adapters.files import state_digest
from motacli.contracts import Backbone, Inversion
from motacli.errors import DataError
from motacli.runs import explained, jsonable

SCORES = "scores.json"


@dataclass(frozen=True)
class Job:
    """An adapter of ``variant`` trained with ``seed`` for an inversion network, and scored; or that network alone.

    ``inversion`` is what tables call the network, and ``network`` its own name. ``identity`` is all that the result
    depends on.
    """

    inversion: str
    network: str
    variant: Variant | None
    seed: int | None
    identity: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name: ``lincir-mota-s0-1a2b3c4d``."""
        parts = [self.network, BASE if self.variant is None else self.variant.adapter]
        parts += [] if self.seed is None else [f"s{self.seed}"]
        return "-".join([*parts, digest_of(self.identity)[:8]])

    @property
    def row(self) -> str:
        """What the table calls it."""
        return BASE if self.variant is None else self.variant.name

    @property
    def title(self) -> str:
        """``lincir, no MDM, seed 0``."""
        return ", ".join([self.inversion, self.row, *([] if self.seed is None else [f"seed {self.seed}"])])


@dataclass(frozen=True)
class Result:
    """What came of a job: metrics in percent by benchmark, numbers learned, and the training's seconds."""

    scores: Mapping[str, Mapping[str, float]]
    trainable: int = 0
    seconds: float = 0.0


def plan(
    grid: Grid,
    seeds: Sequence[int],
    inversions: Mapping[str, Inversion],
    backbone: Backbone,
    data: AblationData,
    sets: TripletSets,
) -> list[Job]:
    """All jobs; those that follow one another share as much of the frozen half as can be."""
    common = {"backbone": backbone.fingerprint(), "data": data.digests}
    jobs = []
    for label, network in inversions.items():
        identity = {**common, "inversion": network.name, "weights": state_digest(network)}
        jobs.append(Job(label, network.name, None, None, {**identity, "adapter": None}))
        for variant in grid.variants:
            own = {**identity, **variant.settings(), "triplets": sets.identity(variant.triplets)}
            jobs += [Job(label, network.name, variant, seed, jsonable({**own, "seed": seed})) for seed in seeds]
    return _ordered(jobs)


def _ordered(jobs: Sequence[Job]) -> list[Job]:
    """Networks alone first; then all jobs on a set of triplets, one inversion network after the other."""
    shared = list(dict.fromkeys(frozen_key(job.variant) for job in jobs if job.variant is not None))
    return sorted(jobs, key=lambda job: -1 if job.variant is None else shared.index(frozen_key(job.variant)))


def frozen_key(variant: Variant) -> str:
    """What variants have in common that can share a frozen half, apart from the inversion network."""
    training = variant.training
    return digest_of([asdict(variant.triplets), training.template, training.long_captions])


@dataclass(frozen=True)
class JobFolder:
    """Where jobs are kept."""

    root: Path

    def path(self, job: Job) -> Path:
        """The folder of a finished job."""
        return self.root / "jobs" / job.name

    def lock(self, job: Job) -> Path:
        """What a process holds while it works on a job."""
        return self.root / "locks" / job.name

    def is_done(self, job: Job) -> bool:
        """Whether the job is finished."""
        return self.path(job).is_dir()

    def result(self, job: Job) -> Result:
        """What came of a finished job; `DataError` where that cannot be read."""
        path = self.path(job) / SCORES
        try:
            with explained(path):
                found = json.loads(path.read_text("utf-8"))
            scores = {name: dict(metrics) for name, metrics in found["scores"].items()}
            return Result(scores, int(found["trainable"]), float(found["seconds"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is damaged", "remove its folder, and the job is run again") from error

    def states(self, jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
        """What ``--dry-run`` lists."""
        for job in jobs:
            about = {"inversion": job.inversion, "variant": job.row, "seed": job.seed}
            yield {**about, "state": "done" if self.is_done(job) else "to do", "job": job.name}


def seeded(variant: Variant, seed: int) -> Variant:
    """The variant as a job of a seed trains it."""
    return replace(variant, training=replace(variant.training, seed=seed))
