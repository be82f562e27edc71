"""Ask a model until an answer can be used, wait where the server asks for it, and notice when it is gone."""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

from motacli.contracts import ChatAnswer, ChatRequest, LLMClient
from motacli.errors import MotaError
from motacli.llms.errors import RATE_LIMIT, LLMError
from motacli.llms.pace import Pace

T = TypeVar("T")
_NOT_IDENTITY = {"identity": False}
_LOOK_AGAIN = 0.02


@dataclass(frozen=True)
class AskOptions:
    """How a server is treated.

    At most ``concurrency`` requests are under way, fewer while the server says it is too many. A request is sent at
    most ``attempts`` times. Between them lie ``backoff`` seconds, doubled each time up to ``longest_wait`` and drawn at
    random from half of it up, or longer where the server says so. A server that nothing reaches, or that fails all,
    for ``patience`` seconds is gone.
    """

    concurrency: int = field(default=32, metadata=_NOT_IDENTITY)
    attempts: int = field(default=6, metadata=_NOT_IDENTITY)
    backoff: float = field(default=0.5, metadata=_NOT_IDENTITY)
    longest_wait: float = field(default=60.0, metadata=_NOT_IDENTITY)
    patience: float = field(default=30.0, metadata=_NOT_IDENTITY)

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.attempts < 1:
            raise ValueError("concurrency and attempts must be at least 1")
        if self.backoff < 0 or self.longest_wait < 0 or self.patience < 0:
            raise ValueError("backoff, longest_wait and patience must not be negative")


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """What came of a request: ``value`` as it was read, or the ``error`` that stands in the end, and what it cost."""

    value: T | None
    error: LLMError | None
    requests: int
    prompt_tokens: int
    completion_tokens: int


class Abandoned(Exception):
    """The request was not answered when all work was to end; it is as if it had not been asked."""


@dataclass
class Heard:
    """The last request that a server answered, and when; kept, it says later that the server was there."""

    request: ChatRequest | None = None
    at: float = field(default_factory=time.monotonic)


@dataclass
class _Tries:
    """What became of one request so far: how often it was sent, and how many attempts in a row were in vain.

    ``begun`` is when the latest attempt was, ``reached`` when one last got to the server.
    """

    begun: float = 0.0
    reached: float = field(default_factory=time.monotonic)
    sent: int = 0
    in_vain: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def failed(self, error: LLMError) -> None:
        self.in_vain += 1
        if error.reached:
            self.sent += 1
            self.reached = time.monotonic()

    def answered(self, answer: ChatAnswer) -> None:
        self.sent += 1
        self.in_vain = 0
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens

    def add(self, other: _Tries) -> None:
        """Count what another request cost as this one's."""
        self.sent += other.sent
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens

    def asked(self, value: T | None, error: LLMError | None) -> Asked[T]:
        return Asked(value, error, self.sent, self.prompt_tokens, self.completion_tokens)


class Asker:
    """Asks one client on behalf of many.

    A server counts as gone, and `ask` raises `MotaError`, where nothing reaches it for a while, or where a request used
    up its attempts and for a while no other is answered either. One bad request among good ones is only given up. Where
    all that are under way have used up theirs, one that was answered before is asked again to tell which it is.
    """

    def __init__(self, client: LLMClient, options: AskOptions, seed: int = 0, heard: Heard | None = None) -> None:
        self.client, self.options = client, options
        self.stopping = asyncio.Event()
        self._pace = Pace(options.concurrency)
        self._random = Random(seed)
        self._heard = heard or Heard()
        self._heard.at = time.monotonic()
        self._active = self._at_end = 0
        self._probing = False
        inline = inspect.iscoroutinefunction(client.complete)
        self._complete: Callable[[ChatRequest], Awaitable[ChatAnswer]] = (
            client.complete if inline else lambda request: asyncio.to_thread(client.complete, request)  # type: ignore[arg-type]
        )

    async def ask(self, request: ChatRequest, read: Callable[[str], T]) -> Asked[T]:
        """Ask until ``read`` takes the answer; it raises `LLMError` for one that is no good.

        Raises `MotaError` where no request will be answered, and `Abandoned` where `stopping` is set meanwhile.
        """
        self._active += 1
        try:
            return await self._ask(request, read)
        finally:
            self._active -= 1

    async def _ask(self, request: ChatRequest, read: Callable[[str], T]) -> Asked[T]:
        tries = _Tries()
        while True:
            try:
                answer = await self._once(request, tries)
            except LLMError as error:
                failure = error
                tries.failed(error)
            else:
                tries.answered(answer)
                self._alive(request)
                try:
                    return tries.asked(read(answer.text), None)
                except LLMError as error:
                    failure = error
            final = failure.remedy == "give up" or (failure.reached and tries.sent >= self.options.attempts)
            await self._raise_where_gone(request, failure, tries, final)
            if final:
                return tries.asked(None, failure)
            if failure.remedy == "wait":
                await self._pause(self._wait(failure, tries.in_vain))

    async def _once(self, request: ChatRequest, tries: _Tries) -> ChatAnswer:
        async with self._pace:
            if self.stopping.is_set():
                raise Abandoned
            tries.begun = time.monotonic()
            return await self._complete(request)

    def _alive(self, request: ChatRequest) -> None:
        self._heard.request, self._heard.at = request, time.monotonic()

    async def _raise_where_gone(self, request: ChatRequest, error: LLMError, tries: _Tries, final: bool) -> None:
        if error.remedy == "stop":
            raise MotaError(f"the language model cannot be asked: {error.message}", error.hint)
        if error.remedy != "wait":
            self._alive(request)  # an answer, if a bad one
            return
        if error.reason == RATE_LIMIT:
            self._pace.slower()
        silence = time.monotonic() - max(tries.reached, self._heard.at)
        if (not error.reached and silence >= self.options.patience) or (final and await self._fails_everyone(tries)):
            what = "is gone" if self._heard.request else "does not answer"
            raise MotaError(
                f"the language model {what}: {error.message}",
                "start it or check its address; the same command then goes on where this one stopped",
            )

    async def _fails_everyone(self, tries: _Tries) -> bool:
        """Whether nobody is answered for a while after a request used up its attempts."""
        if self._heard.request is None:
            return True
        until = time.monotonic() + self.options.patience
        self._at_end += 1
        try:
            while self._heard.at < tries.begun:
                if time.monotonic() > until:
                    return True
                if self._at_end == self._active and not self._probing:
                    await self._probe(self._heard.request, tries)
                await self._pause(_LOOK_AGAIN)
        finally:
            self._at_end -= 1
        return False

    async def _probe(self, good: ChatRequest, tries: _Tries) -> None:
        """Ask what was answered before; nobody else is left who could be."""
        self._probing, probe = True, _Tries()
        try:
            probe.answered(await self._once(good, probe))
            self._alive(good)
        except LLMError as error:
            probe.failed(error)
            if error.remedy == "wait":
                await self._pause(self._wait(error, 1))
            else:
                self._alive(good)
        finally:
            self._probing = False
            tries.add(probe)

    def _wait(self, error: LLMError, attempt: int) -> float:
        usual = min(self.options.longest_wait, self.options.backoff * 2 ** (attempt - 1))
        asked = error.after if error.after is not None and math.isfinite(error.after) else 0.0
        return max(usual * self._random.uniform(0.5, 1.0), min(asked, self.options.longest_wait))

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Abandoned
