"""Many requests behind an iterator: bounded, in no order, and ended with Ctrl-C without loss."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from motacli.contracts import ChatAnswer, ChatRequest
from motacli.llms.asking import Asker, AskOptions
from motacli.llms.pool import AHEAD, answered


class Echo:
    """Answers after a while; notes how many wait for it at once."""

    name = model = "echo"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.under_way = self.most = self.closed = 0

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self.seconds)
        self.under_way -= 1
        return ChatAnswer(request.user)

    async def close(self) -> None:
        self.closed += 1


async def echo(asker: Asker, job: int) -> int:
    asked = await asker.ask(ChatRequest(str(job), str(job)), int)
    assert asked.value is not None
    return asked.value


def test_every_job_is_answered_and_the_client_closed() -> None:
    client = Echo(0.001)
    found = list(answered(range(200), client, AskOptions(concurrency=7), echo))
    assert sorted(found) == list(range(200)) and client.most == 7 and client.closed == 1


def test_jobs_are_read_as_fast_as_they_are_answered() -> None:
    read = 0

    def jobs() -> Iterator[int]:
        nonlocal read
        for job in range(1000):
            read += 1
            yield job

    results = answered(jobs(), Echo(), AskOptions(concurrency=5), echo)
    for number, _ in enumerate(results, 1):
        assert read <= number + AHEAD * 5
        if number == 100:
            break
    results.close()  # type: ignore[attr-defined]


def test_an_error_of_a_job_or_of_the_jobs_ends_it_all() -> None:
    async def fail(asker: Asker, job: int) -> int:
        if job == 3:
            raise LookupError("three")
        await asyncio.sleep(60)
        return job

    client = Echo()
    with pytest.raises(LookupError, match="three"):
        list(answered(range(10), client, AskOptions(), fail))
    assert client.closed == 1

    def broken() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(answered(broken(), client, AskOptions(), echo))


def test_leaving_early_closes_the_client() -> None:
    client = Echo(0.001)
    results = answered(range(100), client, AskOptions(), echo)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert client.closed == 1


INTERRUPTED = """
import asyncio, sys
sys.path[:0] = {paths!r}
from test_pool import Echo, echo
from motacli.llms.asking import AskOptions
from motacli.llms.pool import answered
client = Echo({seconds})
try:
    for number in answered(range(1000), client, AskOptions(concurrency=4), echo):
        print(number, flush=True)
except KeyboardInterrupt:
    print("interrupted", client.closed, flush=True)
"""


def interrupt(seconds: float, times: int) -> list[str]:
    """What a run prints that gets Ctrl-C after its first answers, so many times."""
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
    program = INTERRUPTED.format(paths=paths, seconds=seconds)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(4)]
        for _ in range(times):
            os.kill(running.pid, signal.SIGINT)
        return [line.strip() for line in (*lines, *running.stdout.readlines())]


def test_ctrl_c_waits_for_what_is_under_way_and_passes_it_on() -> None:
    said = interrupt(0.3, 1)
    assert said[-1] == "interrupted 1"
    assert sorted(map(int, said[:-1])) == list(range(8))  # four answers, and the four that were under way


def test_a_second_ctrl_c_ends_at_once() -> None:
    said = interrupt(0.5, 2)
    assert said[-1] == "interrupted 1" and len(said) <= 9
