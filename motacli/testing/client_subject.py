"""What the checks of an LLM client look at."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from motacli.contracts import ChatRequest

T = TypeVar("T")


class NoAnswer(Exception):
    """A client took longer than it may."""


@dataclass(frozen=True)
class Asking:
    """Asks a client as `motacli.llms` does: plain functions in threads."""

    client: Any
    timeout: float

    async def __call__(self, request: ChatRequest) -> Any:
        """The client's answer; `NoAnswer` where none comes in time."""
        complete = self.client.complete
        asked = complete(request) if inspect.iscoroutinefunction(complete) else asyncio.to_thread(complete, request)
        try:
            async with asyncio.timeout(self.timeout) as limit:
                return await asked
        except TimeoutError:
            if not limit.expired():
                raise
            raise NoAnswer(f"no answer within {self.timeout:g} s") from None

    async def close(self) -> None:
        """Close the client, if it can be."""
        close = getattr(self.client, "close", None)
        if close is not None and inspect.isawaitable(done := close()):
            await done


@dataclass(frozen=True)
class ClientSubject:
    """A client, or what makes one, others whose model does not answer, and what may be expected of an answer."""

    client: Any
    failing: tuple[Any, ...]
    deterministic: bool
    timeout: float

    def made(self) -> Any:
        """The client, or a fresh one."""
        return _made(self.client)

    @property
    def is_async(self) -> bool:
        """Whether the client's ``complete`` is a coroutine function."""
        return inspect.iscoroutinefunction(self.made().complete)

    def run(self, work: Callable[[Asking], Awaitable[T]], *, client: Any = None, failing: int | None = None) -> T:
        """Do some work with a client in an event loop of its own, and close the client."""
        if client is None:
            client = self.made() if failing is None else _made(self.failing[failing])

        async def run() -> T:
            asking = Asking(client, self.timeout)
            try:
                return await work(asking)
            finally:
                await asking.close()

        return asyncio.run(run())


def request(number: int) -> ChatRequest:
    """A request that is like no other, in the words in which triplets are asked for."""
    caption = f'"a red star, number {number}"'
    return ChatRequest(
        f"request {number}",
        f"Reference caption, as a JSON string: {caption}\n\nWrite 1 different triplet.",
        "You write triplets as JSON.",
    )


def _made(client: Any) -> Any:
    return client if hasattr(client, "complete") and not isinstance(client, type) else client()
