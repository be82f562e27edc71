"""Who decodes pictures ahead of the encoder: threads of this process, processes that know no weights, or the GPU.

The pictures come in their order; those of threads and of processes are the same to the bit.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any, TypeVar

import torch
import torch.multiprocessing  # has tensors travel between processes in shared memory
from torch import Tensor

from motacli.cache.asking import Decode
from motacli.cache.decoding import Decoded, Decoder, Prepare, Row, decode
from motacli.cache.fetching import Fetched, fetched
from motacli.cache.gpu_decoding import on_gpu
from motacli.contracts import Backbone
from motacli.coworkers import go_with_parent
from motacli.encoding import ahead, in_order
from motacli.errors import MotaError, UsageError

CHUNK = 16
"""Pictures that a process is given at once, at most: they come back as one piece of shared memory."""

T = TypeVar("T")


def in_threads(backbone: Backbone, workers: int) -> Decoder:
    """Threads; without workers each picture is decoded when it is asked for."""

    def decoded(rows: Iterable[Row], most: int) -> Generator[Decoded, None, None]:
        return ahead(lambda row: decode(backbone.preprocess, *row), rows, workers, most)

    return decoded


def in_processes(backbone: Backbone, workers: int) -> Decoder:
    """Processes, which end with the iterator, or with this process should it be killed.

    They are started anew rather than forked, so a script that asks for them needs the usual guard,
    ``if __name__ == "__main__"``. Raises `UsageError` without workers, and for a backbone that cannot hand over how it
    prepares pictures without handing over its weights; the iterator raises `MotaError` where a process dies.
    """
    prepare = portable_preparation(backbone)
    _require_some(workers)
    return partial(_from_processes, prepare, workers, lambda: _pool(workers))


def in_lasting_processes(backbone: Backbone, workers: int) -> Decoder:
    """The same for one who asks again and again: they stay until this process ends."""
    prepare = portable_preparation(backbone)
    _require_some(workers)
    pool = _Lasting(_pool(workers))
    return partial(_from_processes, prepare, workers, lambda: pool)


def portable_preparation(backbone: Backbone) -> Prepare:
    """The ``preparation`` of a backbone, as another process can have it; `UsageError` where it has none such."""
    prepare: Prepare | None = getattr(backbone, "preparation", None)
    hint = "use --decode threads"
    if prepare is None:
        raise UsageError(f"backbone {backbone.name!r} has no `preparation` that other processes could use", hint)
    try:
        pickle.dumps(prepare)
    except Exception as error:  # whatever the parts of it raise
        raise UsageError(f"backbone {backbone.name!r}: its `preparation` cannot be pickled: {error}", hint) from error
    return prepare


def _require_some(workers: int) -> None:
    if workers < 1:
        raise UsageError("--decode processes needs some", "give --workers 1 or more")


def _from_processes(
    prepare: Prepare, workers: int, pool: Callable[[], Executor], rows: Iterable[Row], most: int
) -> Generator[Decoded, None, None]:
    size = min(CHUNK, max(1, most // (2 * workers)))
    files = fetched(rows, most)
    chunks = in_order(pool(), partial(_decode_chunk, prepare), _chunks(files, size), most // size)
    with closing(files), closing(chunks), _explaining_death():
        for found, pieces in chunks:
            pixels = (picture for piece in pieces for picture in piece)
            for one in found:
                yield one if one.error is not None else replace(one, pixels=next(pixels))


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that leave Ctrl-C to this one: a call for each has them start now, while interrupts are held back."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin)
    resource_tracker.ensure_running()  # would let interrupts through again, were it started in between
    with _interrupts_held_back():
        for _ in range(workers):
            pool.submit(int)
    return pool


class _Lasting(Executor):
    """A pool that outlives whoever shuts it down after use."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def submit(self, function: Callable[..., T], /, *given: Any, **more: Any) -> Future[T]:
        return self._pool.submit(function, *given, **more)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stay; what was submitted comes to its end."""


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Interrupts wait; processes that are started meanwhile never see one, not even while they import."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """What a process does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    go_with_parent()
    torch.set_num_threads(1)


def _decode_chunk(prepare: Prepare, rows: Sequence[Fetched]) -> tuple[list[Decoded], list[Tensor]]:
    """Pictures without their pixels, and these in as few pieces as their shapes allow, in order."""
    found = [decode(prepare, *row) for row in rows]
    pixels = [one.pixels for one in found if one.pixels is not None]
    if len({picture.shape for picture in pixels}) == 1:
        pixels = [torch.stack(pixels)]
    else:
        pixels = [picture[None] for picture in pixels]
    return [replace(one, pixels=None) for one in found], pixels


@contextmanager
def _explaining_death() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise MotaError(
            "a process that decodes pictures has died",
            "is memory short, or shared memory (/dev/shm)? with fewer --workers or --decode threads the build goes on",
        ) from error


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk


DECODERS: Mapping[Decode, Callable[[Backbone, int], Decoder]] = {
    "threads": in_threads,
    "processes": in_processes,
    "gpu": on_gpu,
}
"""By name: a backbone and a number of workers to a decoder; `UsageError` where these cannot have it."""

LASTING_DECODERS: Mapping[Decode, Callable[[Backbone, int], Decoder]] = {**DECODERS, "processes": in_lasting_processes}
"""The same, ready to be asked again and again."""
