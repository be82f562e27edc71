"""Each check of `check_llm_client` finds a client that breaks just its line."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from wrong import Wrong, assert_that_line, breaches, without

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.llms.errors import LLMError
from motacli.testing import check_llm_client
from motacli.testing.llm_client import checks

LATENCY = 0.06


class Right:
    """A client that is right, and whose model says what it is asked."""

    name, model = "right", "echo"

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        if request.image is not None:
            raise LLMError("unreadable picture", remedy="give up")
        await asyncio.sleep(LATENCY)
        return ChatAnswer(request.user, 3, 1)

    async def close(self) -> None: ...


class Failing(Right):
    async def complete(self, request: ChatRequest) -> ChatAnswer:
        raise LLMError("no connection", remedy="wait", reached=False)


class Crashing(Right):
    async def complete(self, request: ChatRequest) -> ChatAnswer:
        raise ConnectionError("refused")


class Unhelpful(Right):
    async def complete(self, request: ChatRequest) -> ChatAnswer:
        raise LLMError("no connection", remedy="pray")  # type: ignore[arg-type]


class Wordless(Right):
    async def complete(self, request: ChatRequest) -> Any:
        return (await super().complete(request)).text


class Countless(Right):
    async def complete(self, request: ChatRequest) -> ChatAnswer:
        return ChatAnswer((await super().complete(request)).text, -1)


class Mixing(Right):
    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.last = request
        if request.image is None:
            await asyncio.sleep(LATENCY)
        return await super().complete(self.last)


class Blocking(Right):
    async def complete(self, request: ChatRequest) -> ChatAnswer:
        await asyncio.sleep(0)
        time.sleep(LATENCY)
        return await super().complete(request) if request.image else ChatAnswer(request.user)


class Trusting(Right):
    async def complete(self, request: ChatRequest) -> ChatAnswer:
        if request.image is not None:
            request.image.path.read_bytes()
        return await super().complete(request)


class Spoiled(Right):
    spoiled = False

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        if self.spoiled:
            raise LLMError("spoiled", remedy="wait")
        self.spoiled = request.image is not None
        return await super().complete(request)


class Stubborn(Right):
    async def complete(self, request: ChatRequest) -> ChatAnswer:
        try:
            return await super().complete(request)
        except asyncio.CancelledError:
            return ChatAnswer(request.user)


class Once(Right):
    closed = False

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        if self.closed:
            raise RuntimeError("Session is closed")
        return await super().complete(request)

    async def close(self) -> None:
        self.closed = True


class Plain:
    """A client with a plain function, which is called in threads."""

    name, model = "plain", "echo"

    def complete(self, request: ChatRequest) -> ChatAnswer:
        return ChatAnswer(request.user)


WRONG = (
    Wrong("members", lambda: without("model")(Right()), "model is None, not text"),
    Wrong("complete", Wordless, "gives str"),
    Wrong("complete", Countless, "tokens are -1 and 0"),
    Wrong("at_once", Mixing, "of 8 calls at once 7 get another answer than alone"),
    Wrong("waits", Blocking, "nothing else ran for 0."),
    Wrong("missing_picture", Trusting, "a picture that is not there raises FileNotFoundError"),
    Wrong("missing_picture", Spoiled, "after a picture that is not there a good request raises"),
    Wrong("cancelled", Stubborn, "a call that is cancelled goes on"),
    Wrong("close", Once, "when it is asked again after it was closed it raises RuntimeError: Session is closed"),
)


def test_a_right_client_passes_all() -> None:
    assert check_llm_client(Right, failing=[Failing]).passed == tuple(checks.all)
    report = check_llm_client(Plain())
    assert set(report.left_out) == {"waits", "errors", "cancelled", "close"}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_client_is_found_out(wrong: Wrong) -> None:
    assert_that_line(breaches(lambda: check_llm_client(wrong.make)), wrong, checks.all[wrong.check].line)


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (Crashing, "where no model answers it raises ConnectionError: refused"),
        (Unhelpful, "has reason 'no connection' and remedy 'pray'"),
        (Right, "where no model answers it raises nothing"),
    ],
)
def test_a_client_that_fails_in_another_way_is_found_out(failing: Any, said: str) -> None:
    error = breaches(lambda: check_llm_client(Right, failing=[Failing, failing]))
    assert_that_line(error, Wrong("errors", failing, said), "LLMClient.complete")


def test_every_check_can_fail() -> None:
    assert {wrong.check for wrong in WRONG} | {"errors"} == set(checks.all)


def test_a_client_that_hangs_is_given_up() -> None:
    class Hanging(Right):
        async def complete(self, request: ChatRequest) -> ChatAnswer:
            await asyncio.sleep(60)
            raise AssertionError

    assert "no answer within 0.1 s" in str(breaches(lambda: check_llm_client(Hanging, timeout=0.1)))
