"""Units dealt out to actors that die, by a stand-in for Ray that does everything at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from motacli.cluster.pool import AHEAD, RETRIES, Pool
from motacli.errors import MotaError


class RayError(Exception):
    """As in `ray.exceptions`."""


class Died(RayError):
    """A process is gone."""


class Other(RayError):
    """Something that no other process would do better."""


ERRORS = dict.fromkeys(
    ("RayActorError", "WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "ObjectLostError"), Died
)


class StandIn:
    exceptions = SimpleNamespace(RayError=RayError, **ERRORS)

    def __init__(self) -> None:
        self.killed: list[Actor] = []

    def wait(self, references: Sequence[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return list(references[-1:]), list(references[:-1])  # the last first: nothing comes in order

    def get(self, reference: Any) -> Any:
        return reference.result()

    def kill(self, actor: Actor) -> None:
        self.killed.append(actor)


class Actor:
    def __init__(self, starts: Callable[[], None] = lambda: None) -> None:
        self.ready = SimpleNamespace(remote=lambda: Reference(starts))


class Reference:
    def __init__(self, result: Callable[[], Any]) -> None:
        self.result = result


def dying(times: int, error: type[Exception] = Died) -> Callable[[], None]:
    left = iter([True] * times)

    def die() -> None:
        if next(left, False):
            raise error("gone")

    return die


def pool(**how: Any) -> Pool:
    return Pool(StandIn(), how.pop("start", Actor), how.pop("size", 3), **how)


def call(work: Callable[[int], Any]) -> Callable[[Any, Any], Any]:
    return lambda actor, unit: Reference(lambda: work(unit))


def test_every_unit_is_answered_once_though_actors_die() -> None:
    deaths, told = dying(4), list[str]()

    def work(unit: int) -> int:
        if unit % 5 == 0:
            deaths()
        return unit * unit

    made = pool(say=told.append)
    assert sorted(made.run(call(work), iter(range(40)))) == [unit * unit for unit in range(40)]
    assert 1 <= len(made.died) <= 4 and len(told) == len(made.died) and len(made.ray.killed) == len(made.died)


def test_units_are_asked_for_when_an_actor_is_free() -> None:
    asked: list[int] = []
    units = (asked.append(unit) or unit for unit in range(100))  # type: ignore[func-returns-value]
    made = pool()
    answers = made.run(call(lambda unit: unit), units)
    for number in range(1, 30):
        next(answers)
        assert len(asked) <= number + AHEAD * 3
    answers.close()
    assert sorted(made.run(call(lambda unit: unit), iter(range(9)))) == list(range(9))  # nobody is thought busy


def test_what_kills_every_actor_comes_to_an_end() -> None:
    with pytest.raises(MotaError, match=f"{RETRIES + 1} workers died over the same rows: gone"):
        list(pool().run(call(lambda unit: dying(1)()), iter([1])))


def test_actors_that_never_start() -> None:
    with pytest.raises(MotaError, match="do not start: gone"):
        list(pool(start=lambda: Actor(dying(1))).run(call(lambda unit: unit), iter([1])))
    starts = dying(RETRIES)
    assert list(pool(start=lambda: Actor(starts)).run(call(lambda unit: unit), iter([1]))) == [1]


def test_other_errors_are_told() -> None:
    with pytest.raises(MotaError, match="a worker of the cluster failed: gone"):
        list(pool().run(call(lambda unit: dying(1, Other)()), iter([1])))
