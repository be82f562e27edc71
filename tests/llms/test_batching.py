"""Requests that come one by one, answered in batches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.errors import MotaError
from motacli.llms import batching
from motacli.llms.batching import Answered, Batcher
from motacli.llms.errors import LLMError


def requests(count: int, start: int = 0) -> list[ChatRequest]:
    return [ChatRequest(f"k{i}", f"say {i}") for i in range(start, start + count)]


class Echo:
    """Answers with what was asked, and notes the batches."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()
        self.under_way = self.most = 0
        self.seconds = seconds

    def __call__(self, batch: Sequence[ChatRequest]) -> list[Answered]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.threads.add(threading.current_thread().name)
        self.batches.append([request.key for request in batch])
        time.sleep(self.seconds)
        self.under_way -= 1
        return [ChatAnswer(request.user.removeprefix("say ")) for request in batch]


async def ask(batcher: Batcher, asked: Sequence[ChatRequest]) -> list[Any]:
    return await asyncio.gather(*map(batcher.complete, asked), return_exceptions=True)


def test_each_request_gets_its_own_answer_and_batches_are_full() -> None:
    echo = Echo(0.01)
    found = asyncio.run(ask(Batcher(echo, 4), requests(10)))
    assert [answer.text for answer in found] == [str(i) for i in range(10)]
    assert [len(batch) for batch in echo.batches] == [4, 4, 2] and echo.most == 1
    assert [key for batch in echo.batches for key in batch] == [f"k{i}" for i in range(10)]
    assert threading.main_thread().name not in echo.threads


def test_a_batch_that_is_not_full_waits_a_little_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LINGER", 0.3)
    echo = Echo()

    async def later() -> None:
        batcher = Batcher(echo, 3)
        first = asyncio.create_task(batcher.complete(requests(1)[0]))
        await asyncio.sleep(0.05)
        await ask(batcher, requests(1, 1))
        await first

    asyncio.run(later())
    assert echo.batches == [["k0", "k1"]]


def test_a_full_batch_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LINGER", 60.0)
    begun = time.monotonic()
    asyncio.run(ask(Batcher(Echo(), 4), requests(8)))
    assert time.monotonic() - begun < 30


def test_an_error_of_one_request_is_its_own() -> None:
    refusal = LLMError("cut off", remedy="ask again")

    def run(batch: Sequence[ChatRequest]) -> list[Answered]:
        return [refusal if request.key == "k1" else ChatAnswer(request.key) for request in batch]

    found = asyncio.run(ask(Batcher(run, 8), requests(3)))
    assert found == [ChatAnswer("k0"), refusal, ChatAnswer("k2")]


def test_what_a_batch_raises_is_raised_to_everyone_and_the_next_is_run() -> None:
    calls: list[int] = []

    def run(batch: Sequence[ChatRequest]) -> list[Answered]:
        calls.append(len(batch))
        if len(calls) == 1:
            raise MotaError("no memory")
        return [ChatAnswer(request.key) for request in batch]

    found = asyncio.run(ask(Batcher(run, 2), requests(4)))
    assert [str(one) for one in found[:2]] == ["no memory"] * 2 and all(isinstance(one, MotaError) for one in found[:2])
    assert found[2:] == [ChatAnswer("k2"), ChatAnswer("k3")] and calls == [2, 2]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_answers_is_an_error_and_nobody_waits_for_ever(count: int) -> None:
    batcher = Batcher(lambda batch: [ChatAnswer("x")] * count, 2)
    found = asyncio.run(asyncio.wait_for(ask(batcher, requests(2)), 20))
    assert [str(one) for one in found] == [f"a language model gave {count} answers to 2 requests"] * 2


def test_who_no_longer_waits_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LINGER", 0.2)
    echo = Echo()

    async def cancelled() -> list[Any]:
        batcher = Batcher(echo, 8)
        tasks = [asyncio.create_task(batcher.complete(request)) for request in requests(3)]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(cancelled())
    assert echo.batches == [["k0", "k2"]] and isinstance(found[1], asyncio.CancelledError)


def test_who_leaves_while_a_batch_runs_does_not_disturb_the_others() -> None:
    async def cancelled() -> list[Any]:
        batcher = Batcher(Echo(0.2), 2)
        tasks = [asyncio.create_task(batcher.complete(request)) for request in requests(2)]
        await asyncio.sleep(0.1)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert asyncio.run(cancelled())[1] == ChatAnswer("1")


def test_requests_that_come_while_a_batch_runs_are_in_the_next() -> None:
    echo = Echo(0.15)

    async def later() -> None:
        batcher = Batcher(echo, 2)
        first = asyncio.create_task(ask(batcher, requests(2)))
        await asyncio.sleep(0.05)
        await ask(batcher, requests(2, 2))
        await first
        await ask(batcher, requests(1, 4))

    asyncio.run(later())
    assert echo.batches == [["k0", "k1"], ["k2", "k3"], ["k4"]]


def test_close_begins_no_further_batch() -> None:
    echo = Echo(0.1)

    async def closed() -> set[str]:
        batcher = Batcher(echo, 1)
        tasks = [asyncio.create_task(batcher.complete(request)) for request in requests(5)]
        await asyncio.sleep(0.05)
        await batcher.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return {task.get_name() for task in asyncio.all_tasks()} - {asyncio.current_task().get_name()}  # type: ignore[union-attr]

    assert asyncio.run(closed()) == set() and echo.batches == [["k0"]]


def test_close_of_what_was_never_asked_and_of_what_is_done() -> None:
    batcher = Batcher(Echo(), 2)

    async def closed() -> None:
        await batcher.close()
        await ask(batcher, requests(2))
        await batcher.close()

    asyncio.run(closed())
    assert [answer.text for answer in asyncio.run(ask(batcher, requests(2)))] == ["0", "1"]


def test_another_event_loop_may_ask_after_the_first_was_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LINGER", 60.0)
    echo = Echo()
    batcher = Batcher(echo, 2)
    loop = asyncio.new_event_loop()
    left = loop.create_task(batcher.complete(requests(1)[0]))
    loop.run_until_complete(asyncio.sleep(0.01))
    left.cancel()
    loop.run_until_complete(asyncio.wait([left]))
    runner = batcher._runner
    assert runner is not None and not runner.done()
    assert echo.batches == []
    monkeypatch.setattr(batching, "LINGER", 0.01)
    found = asyncio.run(asyncio.wait_for(ask(batcher, requests(3, 1)), 20))
    assert [answer.text for answer in found] == ["1", "2", "3"]
    runner.cancel()
    loop.run_until_complete(asyncio.wait([runner]))
    loop.close()
