"""Asking until an answer can be used: attempts, waits, and telling a bad request from a server that is gone."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import MotaError
from motacli.llms.asking import Abandoned, Asked, Asker, AskOptions
from motacli.llms.errors import RATE_LIMIT, LLMError
from motacli.llms.pace import Pace


class Script:
    """A client that answers each request with what its script says next: an error or a text."""

    name = model = "script"

    def __init__(self, *steps: LLMError | str, **by_key: list[LLMError | str]) -> None:
        self.steps, self.by_key = list(steps), by_key
        self.asked: Counter[str] = Counter()

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.asked[request.key] += 1
        await asyncio.sleep(0)
        steps = self.by_key.get(request.key, self.steps)
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        if isinstance(step, LLMError):
            raise step
        return ChatAnswer(step, 10, 2)


def no_good(reason: str = "server error 500", remedy: Any = "wait", **more: Any) -> LLMError:
    return LLMError(reason, "on purpose", remedy=remedy, **more)


def number(text: str) -> int:
    if not text.isdigit():
        raise LLMError("not a number", remedy="ask again", raw=text)
    return int(text)


def ask(client: Any, *keys: str, **options: Any) -> list[Asked[int]]:
    async def all_of_them() -> list[Asked[int]]:
        asker = Asker(client, AskOptions(**({"backoff": 0.001, "patience": 0.05} | options)))
        return await asyncio.gather(*(asker.ask(ChatRequest(key, "?"), number) for key in keys or ("a",)))

    return asyncio.run(all_of_them())


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds that are waited for, without waiting."""
    found: list[float] = []

    async def note(self: Asker, seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(Asker, "_pause", note)
    yield found


def test_an_answer_at_once() -> None:
    assert ask(Script("7")) == [Asked(7, None, 1, 10, 2)]


def test_bad_answers_are_asked_for_again_and_paid_for() -> None:
    assert ask(Script("seven", no_good("malformed", "ask again"), "7")) == [Asked(7, None, 3, 20, 4)]


def test_no_more_attempts_than_allowed() -> None:
    client = Script("seven")
    (found,) = ask(client, attempts=4)
    assert found.value is None and found.error is not None and found.error.reason == "not a number"
    assert found.error.raw == "seven" and found.requests == client.asked["a"] == 4


def test_what_asking_again_cannot_mend_is_given_up() -> None:
    client = Script(no_good("refused with 400", "give up"))
    (found,) = ask(client)
    assert found.error is not None and found.error.reason == "refused with 400" and client.asked["a"] == 1


def test_what_no_request_can_mend_stops_everything() -> None:
    client = Script(no_good("the key is refused", "stop", hint="see the key"))
    with pytest.raises(MotaError, match="cannot be asked: the key is refused") as caught:
        ask(client)
    assert caught.value.hint == "see the key" and client.asked["a"] == 1


def test_waits_grow_and_are_bounded_and_honour_the_server(waits: list[float]) -> None:
    steps = [no_good(), no_good(), no_good(), no_good(RATE_LIMIT, after=5.0), no_good(after=500.0), "7"]
    assert ask(Script(*steps), attempts=9, backoff=1.0, longest_wait=20.0)[0].value == 7
    assert all(low / 2 <= wait <= low for wait, low in zip(waits[:3], (1.0, 2.0, 4.0), strict=True))
    assert waits[3:] == [pytest.approx(waits[3]), 20.0] and 5.0 <= waits[3] <= 8.0


@pytest.mark.parametrize("after", [float("nan"), float("inf"), -3.0])
def test_a_wait_that_is_no_number_is_ignored(after: float, waits: list[float]) -> None:
    assert ask(Script(no_good(after=after), "7"), backoff=1.0)[0].value == 7
    assert 0.5 <= waits[0] <= 1.0


def test_requests_that_never_arrived_do_not_count() -> None:
    client = Script(*[no_good("no connection", reached=False)] * 5, "7")
    assert ask(client, attempts=2, patience=10.0) == [Asked(7, None, 1, 10, 2)]


def test_a_server_that_nothing_reaches_does_not_answer() -> None:
    begun = time.monotonic()
    with pytest.raises(MotaError, match="does not answer: no connection") as caught:
        ask(Script(no_good("no connection", reached=False)), patience=0.2)
    assert 0.2 <= time.monotonic() - begun < 5 and "goes on where" in caught.value.hint


def test_one_bad_request_among_good_ones_is_only_given_up() -> None:
    client = Script("7", bad=[no_good()])
    found = ask(client, "a", "bad", "b", attempts=3)
    assert [one.value for one in found] == [7, None, 7] and client.asked["bad"] == 3
    assert found[1].error is not None and found[1].error.reason == "server error 500"


def test_a_server_that_fails_everyone_is_gone() -> None:
    async def in_turn() -> None:
        asker = Asker(client, AskOptions(attempts=3, backoff=0.001, patience=0.5))
        assert (await asker.ask(ChatRequest("first", "?"), number)).value == 7
        await asyncio.gather(*(asker.ask(ChatRequest(key, "?"), number) for key in ("a", "b")))

    client = Script(no_good(), first=["7", no_good()])
    with pytest.raises(MotaError, match="is gone: server error 500"):
        asyncio.run(in_turn())
    assert client.asked["a"] == client.asked["b"] == 3 and client.asked["first"] > 2


def test_bad_requests_that_are_left_alone_are_only_given_up() -> None:
    """Nobody else is answered any more, but the server is there: it is asked once, which counts."""

    async def in_turn() -> list[Asked[int]]:
        asker = Asker(client, AskOptions(attempts=3, backoff=0.001))
        assert (await asker.ask(ChatRequest("first", "?"), number)).value == 7
        return await asyncio.gather(*(asker.ask(ChatRequest(key, "?"), number) for key in ("a", "b")))

    client = Script("7", a=[no_good()], b=[no_good()])
    begun = time.monotonic()
    found = asyncio.run(in_turn())
    assert time.monotonic() - begun < 10
    assert [one.error and one.error.reason for one in found] == ["server error 500"] * 2
    assert client.asked == {"first": 2, "a": 3, "b": 3} and sum(one.requests for one in found) == 7


def test_a_server_that_never_answered_anyone_does_not_answer() -> None:
    with pytest.raises(MotaError, match="does not answer: server error 500"):
        ask(Script(no_good()), attempts=2)


def test_a_plain_function_runs_in_threads() -> None:
    class Plain:
        name = model = "plain"

        def complete(self, request: ChatRequest) -> ChatAnswer:
            time.sleep(0.2)
            return ChatAnswer("7")

    begun = time.monotonic()
    assert [one.value for one in ask(Plain(), *"abcd")] == [7] * 4
    assert time.monotonic() - begun < 0.7


def test_what_waits_when_work_ends_is_abandoned() -> None:
    async def stop() -> None:
        asker = Asker(Script(no_good()), AskOptions(backoff=60.0))
        task = asyncio.create_task(asker.ask(ChatRequest("a", "?"), number))
        await asyncio.sleep(0.05)
        asker.stopping.set()
        with pytest.raises(Abandoned):
            await asyncio.wait_for(task, 1)
        with pytest.raises(Abandoned):
            await asker.ask(ChatRequest("b", "?"), number)

    asyncio.run(stop())


@pytest.mark.parametrize("options", [{"attempts": 0}, {"concurrency": 0}, {"backoff": -1.0}, {"patience": -1.0}])
def test_senseless_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        AskOptions(**options)


# ---------------------------------------------------------------------------------------------- pace


def test_no_more_are_under_way_than_the_pace_allows() -> None:
    most = under_way = 0

    async def one(pace: Pace) -> None:
        nonlocal most, under_way
        async with pace:
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1

    async def all_of_them() -> None:
        pace = Pace(5)
        await asyncio.gather(*(one(pace) for _ in range(40)))

    asyncio.run(all_of_them())
    assert most == 5 and under_way == 0


def test_a_rate_limit_slows_down_once_a_second_and_good_answers_speed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("motacli.llms.pace.time.monotonic", lambda: now)

    async def use() -> None:
        nonlocal now
        pace = Pace(10)
        pace.slower()
        assert pace.limit == 1  # nothing was under way: 0.7 of one
        for _ in range(400):
            async with pace:
                pass
        assert pace.limit == 10
        async with pace, pace, pace, pace:
            now += 2
            pace.slower()
            pace.slower()
            assert pace.limit == 3  # 0.7 of five
            now += 2
            pace.slower()
            assert pace.limit == 2

    asyncio.run(use())


def test_those_who_wait_their_turn_may_leave() -> None:
    async def use() -> None:
        pace = Pace(1)

        async def one() -> str:
            async with pace:
                return "done"

        async with pace:
            tasks = [asyncio.create_task(one()) for _ in range(3)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.gather(*tasks[1:]), 1) == ["done", "done"]

    asyncio.run(use())


def test_many_wait_only_as_long_as_one(waits: list[float]) -> None:
    """A rate limit is no reason to give up what others get through with."""
    hits = Counter[str]()

    class Limited:
        name = model = "limited"

        async def complete(self, request: ChatRequest) -> ChatAnswer:
            hits[request.key] += 1
            await asyncio.sleep(0)
            if hits[request.key] == 1:
                raise no_good(RATE_LIMIT, after=1.0)
            return ChatAnswer("7")

    found = ask(Limited(), *map(str, range(50)), concurrency=8)
    assert all(one.value == 7 for one in found) and len(waits) == 50
