"""Triplets written by the workers of a cluster: a generator like any other, whose rows are answered elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

from motacli.cluster.asking import ClusterOptions
from motacli.cluster.handing_out import AHEAD, RETRIES, HandingOut, in_pieces
from motacli.cluster.ray_cluster import HostChoice, Need, connected, pool_size, worker_device
from motacli.cluster.triplet_worker import GeneratorChoice, Keys, TripletWorker
from motacli.contracts import GeneratorInfo, ImageText, Outcome, TripletGenerator
from motacli.llms.asking import AskOptions
from motacli.llms.secrets import VARIABLES, Key
from motacli.plugins import PluginHost

ROWS = 256
"""Rows of a piece where no model's server says how many may be under way."""


class RayGenerator:
    """`generate` streams rows through the workers of a Ray cluster, each of which makes the generator for itself.

    ``local`` is the generator, made by `motacli.triplets.pipeline.load_generator` from its ``registered`` name and
    ``values``. All else that is asked of a generator it says, so that records and unfinished runs are its own.

    Workers share the ``concurrency`` of an LLM's server, at least one request each; where the client runs its model in
    its own process (``in_process``), each worker has it whole. Raises `MotaError` for what the generator raises in a
    worker, and where workers die again and again.
    """

    def __init__(
        self,
        local: TripletGenerator,
        registered: str,
        values: Mapping[str, Any],
        host: PluginHost,
        cluster: ClusterOptions | None = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.name = local.name
        self.reads_images = bool(getattr(local, "reads_images", False))
        self.options = getattr(local, "options", None)
        self.settings = getattr(local, "settings", None)
        self._local, self._registered, self._values, self._say = local, registered, values, say
        self._plugins = HostChoice.of(host).plugins
        self._cluster = cluster or ClusterOptions()

    @property
    def info(self) -> GeneratorInfo:
        """What each of its records says about it."""
        return self._local.info

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """What so many tokens cost, where prices are known."""
        cost = getattr(self._local, "cost", None)
        return None if cost is None else cost(prompt_tokens, completion_tokens)

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        """See `motacli.contracts.TripletGenerator`; in the order of the rows if the generator is ``in_order``."""
        with redirect_stdout(sys.stderr), connected(self._cluster) as ray:  # where Ray tells of workers that died
            gpus = self._gpus(ray)
            workers = pool_size(ray, self._cluster, Need(gpus=gpus))
            shares = self._shares(workers)
            made = ray.remote(TripletWorker).options(
                num_cpus=1,
                num_gpus=gpus,
                max_restarts=-1,
                max_task_retries=RETRIES,
                max_concurrency=AHEAD + 2,
            )
            actors = [made.remote(self._choice(share)) for share in shares]
            keys = keys_here()
            handing_out = HandingOut(
                ray,
                # No retries, of which Ray tells even where a worker was ended by us.
                {actor.start.options(max_task_retries=0).remote(keys): actor for actor in actors},
                call=lambda actor, piece: actor.answer.remote(keys, piece),
                stop=lambda actor, grace: actor.stop.options(max_task_retries=0).remote(grace),
                ordered=bool(getattr(self._local, "in_order", False)),
                say=self._say,
            )
            try:
                for answers in handing_out.run(in_pieces(iter(rows), shares[0] or ROWS)):
                    yield from answers.outcomes
            finally:
                for actor in actors:
                    ray.kill(actor)

    def _gpus(self, ray: Any) -> float:
        if self._in_process:
            return worker_device(ray, "auto", self._cluster)[1]
        return self._cluster.gpus_per_worker or 0

    @property
    def _in_process(self) -> bool:
        return bool(getattr(getattr(self._local, "client", None), "in_process", False))

    def _shares(self, workers: int) -> list[int | None]:
        """How many requests each worker may have under way, None where the generator does not ask."""
        asking = getattr(self.options, "asking", None)
        if not isinstance(asking, AskOptions):
            return [None] * workers
        if self._in_process:
            return [asking.concurrency] * workers
        return list(shared_out(asking.concurrency, workers))

    def _choice(self, share: int | None) -> GeneratorChoice:
        values = dict(self._values)
        if share is not None:
            values["asking"] = {**values.get("asking", {}), "concurrency": share}
        return GeneratorChoice(self._registered, values, self._plugins, self.info, os.getcwd())


def shared_out(total: int, workers: int) -> list[int]:
    """Nearly equal whole shares, the largest first, of at least 1 each."""
    least, more = divmod(total, workers)
    return [max(least + (number < more), 1) for number in range(workers)]


def keys_here() -> Keys:
    """The keys in this process's environment."""
    return {name: Key(value) for name in VARIABLES if (value := os.environ.get(name, "").strip())}
