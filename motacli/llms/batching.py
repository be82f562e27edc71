"""Requests that come one by one, answered in batches: for models that run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import MotaError
from motacli.llms.errors import LLMError

LINGER = 0.02
"""Seconds that a batch which is not full waits for more requests."""

Answered = ChatAnswer | LLMError
Run = Callable[[Sequence[ChatRequest]], Sequence[Answered]]
"""Requests to as many answers, in the same order; it runs in a thread of its own, one batch at a time."""


class Batcher:
    """``await batcher.complete(request)``, as of an LLM client."""

    def __init__(self, run: Run, size: int) -> None:
        self._run, self._size = run, size
        self._waiting: list[tuple[ChatRequest, asyncio.Future[ChatAnswer]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask once. Raises what the batch raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ChatAnswer] = loop.create_future()
        self._waiting.append((request, future))
        if self._runner is None or self._runner.done() or self._runner.get_loop() is not loop:
            self._runner = loop.create_task(self._run_all())
        return await future

    async def close(self) -> None:
        """Begin no further batch; what is still waited for is not answered."""
        runner = self._runner
        if runner is not None and not runner.done() and runner.get_loop() is asyncio.get_running_loop():
            runner.cancel()
            await asyncio.wait([runner])

    async def _run_all(self) -> None:
        while self._waiting:
            if len(self._waiting) < self._size:
                await asyncio.sleep(LINGER)
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            wanted = [(request, future) for request, future in batch if not future.done()]
            if wanted:
                await self._answer(wanted)

    async def _answer(self, batch: Sequence[tuple[ChatRequest, asyncio.Future[ChatAnswer]]]) -> None:
        try:
            answers = await asyncio.to_thread(self._run, [request for request, _ in batch])
            if len(answers) != len(batch):
                raise MotaError(f"a language model gave {len(answers)} answers to {len(batch)} requests")
        except Exception as error:  # handed to everyone who waits for it, and raised there
            answers = [error] * len(batch)  # type: ignore[list-item]
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, ChatAnswer):
                future.set_result(answer)
            else:
                future.set_exception(answer)
