"""Several sources as one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from motacli.contracts import ImageText
from motacli.datasets.shards import ShardSource
from motacli.remote.urls import is_remote

AHEAD = 4
"""Remote shards that are gone through at the same time."""


def joined(sources: Sequence[Iterable[ImageText]]) -> Iterable[ImageText]:
    """The rows of all of them, one after the other; sized if they are."""
    if len(sources) == 1:
        return sources[0]
    return (SizedJoin if all(isinstance(source, Sized) for source in sources) else Join)(tuple(sources))


@dataclass(frozen=True)
class Join:
    """Sources one after the other."""

    sources: tuple[Iterable[ImageText], ...]

    def __iter__(self) -> Iterator[ImageText]:
        return chain.from_iterable(_begun_ahead(self.sources))


@dataclass(frozen=True)
class SizedJoin(Join):
    """Sources one after the other that all know their length."""

    def __len__(self) -> int:
        return sum(len(source) for source in self.sources if isinstance(source, Sized))


def _begun_ahead(sources: Sequence[Iterable[ImageText]]) -> Iterator[Iterable[ImageText]]:
    """The sources, rows of remote shards in lists: while one is used, the next ones are gone through.

    It begins with one and goes on with more, so who stops after a few rows has not waited for other shards.
    """
    if not any(map(_is_remote_shard, sources)):
        yield from sources
        return
    waiting: deque[Iterable[ImageText] | Future[list[ImageText]]] = deque()
    remaining, done = iter(sources), 0
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="list") as pool:
        try:
            while True:
                while len(waiting) < min(AHEAD, done + 1) and (source := next(remaining, None)) is not None:
                    waiting.append(pool.submit(list, source) if _is_remote_shard(source) else source)
                if not waiting:
                    return
                first = waiting.popleft()
                yield first.result() if isinstance(first, Future) else first
                done += 1
        finally:
            pool.shutdown(cancel_futures=True)


def _is_remote_shard(source: Iterable[ImageText]) -> bool:
    return isinstance(source, ShardSource) and is_remote(source.path)
