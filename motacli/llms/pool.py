"""Many requests under way at once, behind a plain iterator: rows are read only as fast as they are answered."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeVar

from motacli.contracts import LLMClient
from motacli.interrupts import Interrupts
from motacli.llms.asking import Abandoned, Asker, AskOptions, Heard

J = TypeVar("J")
R = TypeVar("R")

AHEAD = 2
"""Jobs held per request that may be under way: while some wait to be asked again, others take their places."""


def answered(
    jobs: Iterable[J],
    client: LLMClient,
    options: AskOptions,
    work: Callable[[Asker, J], Awaitable[R]],
    seed: int = 0,
    heard: Heard | None = None,
) -> Iterator[R]:
    """What ``work(asker, job)`` makes of each job, in the order in which they end.

    On the first Ctrl-C no further job is begun, what is under way is waited for and passed on, and `KeyboardInterrupt`
    is raised at the end; on the second it is raised at once. So is any error of ``work`` or of ``jobs``. ``heard`` is
    what is known of the server from an earlier call.
    """
    loop = asyncio.new_event_loop()
    try:
        with Interrupts() as interrupts:
            asker = Asker(client, options, seed, heard)
            yield from _Pool(loop, asker, work, interrupts).run(iter(jobs))
        if interrupts.count:
            raise KeyboardInterrupt
    finally:
        loop.run_until_complete(_close(client))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


class _Pool:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        asker: Asker,
        work: Callable[[Asker, Any], Awaitable[Any]],
        interrupts: Interrupts,
    ) -> None:
        self._loop, self._work, self._interrupts = loop, work, interrupts
        self._asker = asker
        self._most = AHEAD * asker.options.concurrency
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended: deque[asyncio.Task[Any]] = deque()
        self._something = asyncio.Event()
        interrupts.told = lambda: loop.call_soon_threadsafe(self._stop)

    def run(self, jobs: Iterator[Any]) -> Iterator[Any]:
        more = True
        try:
            while more or self._tasks:
                while more and not self._interrupts.count and len(self._tasks) < self._most:
                    more = self._begin(jobs)
                if self._interrupts.count:
                    more = False
                if self._tasks:
                    self._loop.run_until_complete(self._next())
                yield from self._results()
        finally:
            self._cancel()

    def _begin(self, jobs: Iterator[Any]) -> bool:
        """Begin one more job; False where there is none."""
        for job in jobs:
            task = self._loop.create_task(self._do(job))
            self._tasks.add(task)
            task.add_done_callback(self._note)
            return True
        return False

    async def _do(self, job: Any) -> Any:
        return await self._work(self._asker, job)

    def _note(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._ended.append(task)
        self._something.set()

    async def _next(self) -> None:
        """Wait until some job has ended."""
        if not self._ended:
            self._something.clear()
            await self._something.wait()

    def _results(self) -> Iterator[Any]:
        while self._ended:
            task = self._ended.popleft()
            error = task.exception()
            if error is None:
                yield task.result()
            elif not isinstance(error, Abandoned):
                raise error

    def _stop(self) -> None:
        self._asker.stopping.set()

    def _cancel(self) -> None:
        running = set(self._tasks)  # they leave the other set as they end
        for task in running:
            task.cancel()
        if running:
            self._loop.run_until_complete(asyncio.wait(running))
        for task in self._ended:  # their errors are no news any more
            if not task.cancelled():
                task.exception()


async def _close(client: LLMClient) -> None:
    close = getattr(client, "close", None)
    if close is not None:
        done = close()
        if inspect.isawaitable(done):
            await done
