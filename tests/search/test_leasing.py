"""What is replaced while it is used is closed once, by whoever uses it last."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from motacli.errors import UsageError
from motacli.search.leasing import Current


class Thing:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_an_unused_one_is_closed_at_once_and_a_used_one_by_its_last_user() -> None:
    first, second = Thing(), Thing()
    current = Current(first, "the shop")
    with current.using() as one, current.using() as other:
        assert one is other is first
        current.replace(second)
        assert first.closed == 0 and current.value is second
    assert (first.closed, second.closed) == (1, 0)
    current.replace(None)
    assert (first.closed, second.closed) == (1, 1)
    for ask in (lambda: current.value, current.using().__enter__):
        with pytest.raises(UsageError, match="the shop is closed"):
            ask()
    current.replace(None)
    assert second.closed == 1


def test_an_error_inside_lets_go_too() -> None:
    thing = Thing()
    current = Current(thing, "the shop")
    with pytest.raises(ValueError), current.using():
        current.replace(None)
        raise ValueError
    assert thing.closed == 1


def test_threads_never_see_a_closed_one_and_each_is_closed_once() -> None:
    things = [Thing() for _ in range(300)]
    current, stop, ready = Current(things[0], "the shop"), threading.Event(), threading.Barrier(5)

    def use() -> int:
        wrong = 0
        ready.wait()
        while not stop.is_set():
            with current.using() as thing:
                wrong += thing.closed
        return wrong

    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(use) for _ in range(4)]
        ready.wait()
        for thing in things[1:]:
            current.replace(thing)
        stop.set()
        assert [user.result() for user in users] == [0] * 4
    assert [thing.closed for thing in things] == [1] * 299 + [0] and current.value is things[-1]
