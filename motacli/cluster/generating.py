"""Triplets written by the workers of a cluster: a generator like any other, whose rows are answered elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, TypeVar

from motacli.cluster.asking import ClusterOptions
from motacli.cluster.ending import Ending
from motacli.cluster.pool import Pool
from motacli.cluster.ray_cluster import HostChoice, Need, connected, pool_size, worker_device
from motacli.cluster.triplet_worker import Answers, GeneratorChoice, Keys, TripletWorker
from motacli.contracts import GeneratorInfo, ImageText, Outcome, TripletGenerator
from motacli.datasets import picture_exists
from motacli.errors import MotaError
from motacli.interrupts import Interrupts
from motacli.llms.asking import AskOptions
from motacli.llms.secrets import VARIABLES, Key
from motacli.plugins import PluginHost

AHEAD = 4
"""Pieces that a worker holds: while the last rows of some are waited for, it goes on with the others."""
ROWS = 256
"""Rows of a piece where no model's server says how many may be under way."""
T = TypeVar("T")


class RayGenerator:
    """`generate` streams rows through the workers of a Ray cluster, each of which makes the generator for itself.

    ``local`` is the generator, made by `motacli.triplets.pipeline.load_generator` from its ``registered`` name and
    ``values``. All else that is asked of a generator it says, so that records and unfinished runs are its own.

    Workers share the ``concurrency`` of an LLM's server equally, with at least one request each; where the client runs
    its model in its own process (``in_process``), each worker has it whole. Raises what the generator raises in a
    worker, and `MotaError` where workers die over the same rows again and again or miss pictures that are here.
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
        self.in_order = bool(getattr(local, "in_order", False))
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
        """See `motacli.contracts.TripletGenerator`; in the order of the rows if the generator is ``in_order``.

        An error, or Ctrl-C, ends it once what workers have done has been passed on; a second Ctrl-C at once.
        """
        # Ray tells on stdout of workers that died; stdout is for data.
        with redirect_stdout(sys.stderr), connected(self._cluster) as ray, Interrupts() as interrupts:
            pool, share = self._pool(ray)
            ending = Ending(pool, interrupts)
            keys = keys_here()
            pieces = enumerate(in_pieces(iter(rows), share or ROWS))
            try:
                answers = ending.answers(lambda actor, piece: actor.answer.remote(keys, *piece), pieces)
                for answer in in_order(answers) if self.in_order else answers:
                    _check(answer)
                    yield from answer.outcomes
            finally:
                pool.close()
        ending.throw()

    def _pool(self, ray: Any) -> tuple[Pool, int | None]:
        """The workers, and how many requests each may have under way."""
        gpus = self._cluster.gpus_per_worker or 0
        if self._in_process:
            _, gpus = worker_device(ray, "auto", self._cluster)
        size = pool_size(ray, self._cluster, Need(gpus=gpus))
        share = self._share(size)
        choice = self._choice(share)
        made = ray.remote(TripletWorker).options(
            num_cpus=1,
            num_gpus=gpus,
            max_restarts=0,
            max_concurrency=AHEAD + 2,
            scheduling_strategy="SPREAD",
        )
        return Pool(ray, lambda: made.remote(choice), size, self._say, AHEAD), share

    @property
    def _in_process(self) -> bool:
        return bool(getattr(getattr(self._local, "client", None), "in_process", False))

    def _share(self, workers: int) -> int | None:
        """How many requests a worker may have under way, None where the generator does not ask."""
        asking = getattr(self.options, "asking", None)
        if not isinstance(asking, AskOptions):
            return None
        return asking.concurrency if self._in_process else max(asking.concurrency // workers, 1)

    def _choice(self, share: int | None) -> GeneratorChoice:
        values = dict(self._values)
        if share is not None:
            values["asking"] = {**values.get("asking", {}), "concurrency": share}
        return GeneratorChoice(self._registered, values, self._plugins, self.info, os.getcwd())


def keys_here() -> Keys:
    """The keys in this process's environment."""
    return {name: Key(value) for name in VARIABLES if (value := os.environ.get(name, "").strip())}


def in_pieces(items: Iterator[T], size: int) -> Iterator[Sequence[T]]:
    """Lists of ``size`` items, the last one shorter."""
    piece: list[T] = []
    for item in items:
        piece.append(item)
        if len(piece) >= size:
            yield piece
            piece = []
    if piece:
        yield piece


def in_order(answers: Iterator[Answers]) -> Iterator[Answers]:
    """Answers by the numbers of their pieces; those that come too early are held."""
    early: dict[int, Answers] = {}
    number = 0
    for answer in answers:
        early[answer.number] = answer
        while number in early:
            yield early.pop(number)
            number += 1
    for number in sorted(early):  # where one before them never came
        yield early[number]


def _check(answer: Answers) -> None:
    """Raise `MotaError` for a picture that is here but not there."""
    for ref in answer.missing:
        if picture_exists(ref):
            raise MotaError(
                f"the worker on {answer.machine} does not find {ref.path}, which this machine does",
                "pictures must be within reach of every machine of the cluster: in a shared folder, or by a URL",
            )
