"""An engine of caches: windows of rows go to workers on a Ray cluster, and features come back, in any order.

Only the process that was started writes, so nothing but the pictures has to be within reach of every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from motacli.cache.batching import Span, window_rows, windows
from motacli.cache.computed import of_threads
from motacli.cache.encoder import Captions, Encodes, Recipe, Rows
from motacli.cache.pieces import Piece
from motacli.cluster.asking import ClusterOptions
from motacli.cluster.cache_worker import Answer, CacheWorker, Task
from motacli.cluster.pool import AHEAD, Pool
from motacli.cluster.ray_cluster import BackboneMaker, Need, connected, pool_size, worker_device
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.datasets import picture_exists
from motacli.errors import DataError, MotaError


@contextmanager
def ray_engine(
    make: Callable[[], Backbone], cluster: ClusterOptions | None = None, progress: Progress | None = None
) -> Iterator[RayEngine]:
    """An engine for `motacli.cache.build_cache` while the block runs, connected to a cluster or a local one.

    ``make`` makes the backbone and is pickled to reach the workers; from a `BackboneMaker` they get it on the GPUs that
    Ray deals out, from anything else as it comes. Raises what `connected` and `worker_device` raise.
    """
    cluster = cluster or ClusterOptions()
    with connected(cluster) as ray:
        gpus = cluster.gpus_per_worker or 0.0
        if isinstance(make, BackboneMaker):
            device, gpus = worker_device(ray, make.choice.device, cluster)
            make = make.on(device)
        engine = RayEngine(ray, make, cluster, gpus, progress or NullProgress())
        try:
            yield engine
        finally:
            engine.close()


@dataclass
class RayEngine:
    """Called as `motacli.cache.encoder.Engine`; ``gpus`` is what each worker takes of them.

    The workers are started when they are first needed, and serve all builds that ask for the same ``--workers``.
    """

    ray: Any
    make: Callable[[], Backbone]
    cluster: ClusterOptions
    gpus: float
    progress: Progress
    _pools: dict[Need, Pool] = field(default_factory=dict)

    def __call__(self, backbone: Backbone, recipe: Recipe) -> Encodes:
        """Each worker takes a CPU for every one that decodes, and one at least.

        Where it computes on CPUs, with as many threads as this process would: then the bits are those of this process.
        """
        threads = 1 if self.gpus else torch.get_num_threads()
        need = Need(max(recipe.workers, threads), self.gpus)
        if need not in self._pools:
            size = pool_size(self.ray, self.cluster, need)
            self._pools[need] = Pool(self.ray, lambda: self._worker(need), size, self.progress.warn)
        return _Encodes(self._pools[need], Task.of(backbone, recipe, threads), recipe.strict)

    @property
    def died(self) -> list[str]:
        """What the workers said that died."""
        return [said for pool in self._pools.values() for said in pool.died]

    def close(self) -> None:
        """End the workers."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def _worker(self, need: Need) -> Any:
        made = self.ray.remote(CacheWorker).options(
            num_cpus=need.cpus,
            num_gpus=need.gpus,
            max_restarts=0,
            max_concurrency=AHEAD,
            scheduling_strategy="SPREAD",
        )
        return made.remote(self.make)


@dataclass(frozen=True)
class _Encodes:
    pool: Pool
    task: Task
    strict: bool

    @property
    def computed(self) -> Mapping[str, str]:
        """The threads of each worker."""
        return of_threads(torch.device("cpu"), self.task.threads)

    def pictures(self, rows: Rows, spans: Sequence[Span], progress: Progress) -> Generator[Piece, None, None]:
        """A piece per window; the rows of a window are read when a worker is free to have them."""
        size = window_rows(self.task.recipe.batch_size)
        found = list(windows(spans, size))
        units = ((span, list(rows.refs(*span))) for span in found)
        answers = self.pool.run(lambda actor, unit: actor.pictures.remote(self.task, *unit), units)
        yield from self._pieces(answers, f"encoding pictures, {size} at a time", len(found), progress)

    def captions(self, texts: Captions, spans: Sequence[Span], progress: Progress) -> Generator[Piece, None, None]:
        """A piece per window."""
        task, size = self.task.of_captions, window_rows(self.task.recipe.batch_size)
        units = ((span, texts.between(*span)) for span in spans)
        answers = self.pool.run(lambda actor, unit: actor.captions.remote(task, *unit), units)
        yield from self._pieces(answers, f"encoding captions, {size} at a time", len(spans), progress)

    def _pieces(
        self, answers: Generator[Answer, None, None], what: str, total: int, progress: Progress
    ) -> Generator[Piece, None, None]:
        with closing(answers):
            for answer in progress.track(answers, what, total):
                self._check(answer)
                yield from answer.pieces

    def _check(self, answer: Answer) -> None:
        """Raise what ended a unit, and for pictures that are here but not there."""
        if answer.failure is not None:
            answer.failure.throw(answer.machine)
        for ref in answer.missing:
            if picture_exists(ref):
                raise MotaError(
                    f"the worker on {answer.machine} does not find {ref.path}, which this machine does",
                    "pictures must be within reach of every machine of the cluster: in a shared folder, or by a URL",
                )
        for one in (one for piece in answer.pieces for one in piece.broken if self.strict):
            said = one.reason if one.path in one.reason else f"cannot decode {one.path}: {one.reason}"
            raise DataError(said, "replace the file or take it out of the data")
