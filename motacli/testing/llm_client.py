"""`check_llm_client`: whether a client keeps `motacli.contracts.LLMClient`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from motacli.components import one_line
from motacli.contracts import ChatAnswer, ChatRequest, ImageRef, LLMClient
from motacli.llms.errors import LLMError, Remedy
from motacli.testing.checks import Checks, LeftOut, lacking, name_of, named
from motacli.testing.client_subject import Asking, ClientSubject, request
from motacli.testing.findings import Report

AT_ONCE = 8
SLOW = 0.05
"""Seconds that an answer has to take for it to be seen whether others are kept waiting."""
TRIES = 3
checks = Checks[ClientSubject]()


def check_llm_client(
    client: LLMClient | Callable[[], LLMClient],
    *,
    failing: Sequence[LLMClient | Callable[[], LLMClient]] = (),
    deterministic: bool = True,
    timeout: float = 60.0,
) -> Report:
    """Check a client of a language model, or a function without arguments that makes one; its model must answer.

    ``failing`` are clients whose model does not, such as one of an address where nobody is. ``deterministic`` is
    whether a model answers a request always the same. An answer may take ``timeout`` seconds.

    Raises `ContractError` with every line that is broken.
    """
    subject = ClientSubject(client, tuple(failing), deterministic, timeout)
    return checks.run(f"LLM client {name_of(subject.made())}", subject)


@checks.add("LLMClient", "a client has a name, a model and complete", vital=True)
def members(subject: ClientSubject) -> Iterator[str]:
    """What the protocol names is there."""
    client = subject.made()
    yield from lacking(client, "complete")
    yield from named(client)
    yield from named(client, "model")


@checks.add(
    "LLMClient.complete", "a ChatRequest is answered by a ChatAnswer with text, and counts of tokens", vital=True
)
def complete(subject: ClientSubject) -> Iterator[str]:
    """One request."""

    async def ask(asking: Asking) -> Any:
        return await asking(request(0))

    answer = subject.run(ask)
    if not isinstance(answer, ChatAnswer):
        yield f"gives {type(answer).__name__}"
    elif not isinstance(answer.text, str) or not answer.text:
        yield f"the answer's text is {answer.text!r}"
    elif not all(isinstance(n, int) and n >= 0 for n in (answer.prompt_tokens, answer.completion_tokens)):
        yield f"tokens are {answer.prompt_tokens!r} and {answer.completion_tokens!r}"


@checks.add("LLMClient.complete", "many calls may be under way at once, and each gets its own answer")
def at_once(subject: ClientSubject) -> Iterator[str]:
    """Requests together, against the same one by one."""
    requests = [request(number) for number in range(AT_ONCE)]

    async def together(asking: Asking) -> list[Any]:
        return await asyncio.gather(*map(asking, requests), return_exceptions=True)

    async def apart(asking: Asking) -> list[Any]:
        return [await asking(one) for one in requests]

    found = subject.run(together)
    if errors := [one for one in found if isinstance(one, BaseException)]:
        yield f"of {AT_ONCE} calls at once {len(errors)} fail: {one_line(errors[0])}"
    elif subject.deterministic and (other := _differing(found, subject.run(apart))):
        yield f"of {AT_ONCE} calls at once {other} get another answer than alone"


@checks.add("LLMClient.complete", "while it waits for an answer other calls go on")
def waits(subject: ClientSubject) -> Iterator[str]:
    """A coroutine that blocks the event loop stops all others; a plain function is called in a thread."""
    if not subject.is_async:
        raise LeftOut("complete is a plain function")

    async def measure(asking: Asking) -> list[Wait]:
        await asking(request(0))  # what is made for the first request does not count
        return [await _measured(asking, number) for number in range(1, 1 + TRIES)]

    measured = subject.run(measure)
    if min(wait.took for wait in measured) < SLOW:
        raise LeftOut(f"answers come within {SLOW} s, too fast to tell")
    if all(wait.blocked > 0.7 * wait.took and wait.before < SLOW / 2 for wait in measured):
        wait = measured[0]
        yield f"nothing else ran for {wait.blocked:.2g} s of the {wait.took:.2g} s that an answer took"


@checks.add("LLMClient.complete", "it raises LLMError, which says whether asking again can help")
def errors(subject: ClientSubject) -> Iterator[str]:
    """Clients whose model does not answer."""
    if not subject.failing:
        raise LeftOut("no failing= was given")

    async def ask(asking: Asking) -> Any:
        try:
            return await asking(request(0))
        except Exception as error:
            return error

    for number in range(len(subject.failing)):
        found = subject.run(ask, failing=number)
        if not isinstance(found, LLMError):
            raised = one_line(found) if isinstance(found, Exception) else "nothing"
            yield f"where no model answers it raises {raised}"
        elif not found.reason or found.remedy not in get_args(Remedy):
            yield f"its error has reason {found.reason!r} and remedy {found.remedy!r}"


@checks.add("LLMClient.complete", "a picture that cannot be sent is an LLMError, and harms no other request")
def missing_picture(subject: ClientSubject) -> Iterator[str]:
    """A request about no picture, then a good one; clients that show none may answer or refuse."""

    async def ask(asking: Asking) -> tuple[Any, Any]:
        bad = ChatRequest("picture", "What is this?", image=ImageRef("gone.png", Path("no-such-folder/gone.png")))
        found = await asyncio.gather(asking(bad), return_exceptions=True)
        after = await asyncio.gather(asking(request(0)), return_exceptions=True)
        return found[0], after[0]

    bad, after = subject.run(ask)
    if isinstance(bad, BaseException) and not isinstance(bad, LLMError):
        yield f"a picture that is not there raises {one_line(bad)}"
    if isinstance(after, BaseException):
        yield f"after a picture that is not there a good request raises {one_line(after)}"


@checks.add("LLMClient.complete", "a call can be cancelled, and harms no other request")
def cancelled(subject: ClientSubject) -> Iterator[str]:
    """One call is cancelled as soon as it waits, then another is made."""
    if not subject.is_async:
        raise LeftOut("complete is a plain function")

    async def ask(asking: Asking) -> tuple[bool, Any]:
        task = asyncio.ensure_future(asking(request(0)))
        await asyncio.sleep(0)
        done = task.done()
        task.cancel()
        await asyncio.wait([task])
        after = await asyncio.gather(asking(request(1)), return_exceptions=True)
        return done or task.cancelled(), after[0]

    ended, after = subject.run(ask)
    if not ended:
        yield "a call that is cancelled goes on"
    if isinstance(after, BaseException):
        yield f"after a call that was cancelled a good request raises {one_line(after)}"


@checks.add(
    "LLMClient.close", "it may be called again, and a client that was closed can be asked in another event loop"
)
def close(subject: ClientSubject) -> Iterator[str]:
    """Each run has an event loop of its own, and closes the client at its end."""
    client = subject.made()
    if not hasattr(client, "close"):
        raise LeftOut("the client has no close")

    async def ask(asking: Asking) -> Any:
        await asking(request(0))
        await asking.close()

    for words in ("when it is closed twice", "when it is asked again after it was closed"):
        try:
            subject.run(ask, client=client)
        except Exception as error:
            yield f"{words} it raises {one_line(error)}"
            return


def _differing(found: Sequence[Any], expected: Sequence[Any]) -> int:
    return sum(one.text != other.text for one, other in zip(found, expected, strict=True))


@dataclass(frozen=True)
class Wait:
    """Seconds that an answer took, and the longest in which nothing else could run: meanwhile, and before."""

    took: float
    blocked: float
    before: float


async def _measured(asking: Asking, number: int) -> Wait:
    longest, last = 0.0, time.perf_counter()

    async def tick() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(SLOW / 10)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(SLOW)
    before, longest, begun = longest, 0.0, time.perf_counter()
    await asking(request(number))
    took = time.perf_counter() - begun
    await asyncio.sleep(SLOW / 5)
    ticking.cancel()
    return Wait(took, longest, before)
