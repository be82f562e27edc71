"""Actors that work on units, and what becomes of the units where actors die.

Not Ray Data, whose actors live as long as one data set: here they hold a backbone through pictures, captions and all
units of a benchmark. And Ray's own restarts keep the calls of a dead actor for the next one, which may never find room;
here they go to whoever is free.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from motacli.errors import MotaError

AHEAD = 2
"""Units that an actor holds, unless said: the next one is there when it is done with one, and no more wait anywhere."""
RETRIES = 5
"""How often a unit is begun again whose actor died: pictures that kill every worker must come to an end."""
LOOK = 0.5
"""Seconds between two looks at what else there is to do."""
PATIENCE = 30.0
"""Seconds without any actor before that is said."""
_LONGEST = 300


@dataclass(eq=False)
class _Member:
    """An actor, and how many units it holds."""

    actor: Any
    load: int = 0
    gone: bool = False


@dataclass
class _Call:
    member: _Member
    unit: Any
    tries: int


@dataclass
class Pool:
    """``size`` actors that ``start()`` makes; each has a method ``ready``. Those that die are replaced.

    ``close`` ends them all. ``say`` is told where one died or none comes; ``died`` is what those said that died.
    """

    ray: Any
    start: Callable[[], Any]
    size: int
    say: Callable[[str], None] = lambda message: None
    ahead: int = AHEAD
    died: list[str] = field(default_factory=list)
    _starting: dict[Any, _Member] = field(default_factory=dict)
    _members: list[_Member] = field(default_factory=list)
    _deaths: int = 0

    @property
    def actors(self) -> list[Any]:
        """Those that are there."""
        return [member.actor for member in self._members]

    def run(
        self, call: Callable[[Any, Any], Any], units: Iterator[Any], look: Callable[[], None] = lambda: None
    ) -> Generator[Any, None, None]:
        """What ``call(actor, unit)`` came to, for all units, in any order; a unit is asked for when an actor is free.

        ``look`` is called again and again, every `LOOK` seconds at least; what it raises ends the run.
        Raises `MotaError` where a unit's actors die again and again, and where none comes to life.
        """
        flying: dict[Any, _Call] = {}
        try:
            yield from self._run(call, units, look, flying)
        finally:
            for left in flying.values():  # nobody waits for it any more
                left.member.load -= 1

    def _run(
        self,
        call: Callable[[Any, Any], Any],
        units: Iterator[Any],
        look: Callable[[], None],
        flying: dict[Any, _Call],
    ) -> Generator[Any, None, None]:
        again: deque[_Call] = deque()
        more, begun = True, time.monotonic()
        while len(self._members) + len(self._starting) < self.size:
            self._start()
        while True:
            look()
            while (member := self._free()) is not None and (again or more):
                tries, unit = (again[0].tries, again.popleft().unit) if again else (0, next(units, None))
                if unit is None:
                    more = False
                    break
                flying[call(member.actor, unit)] = _Call(member, unit, tries)
                member.load += 1
            if not (flying or again or more):
                return
            begun = self._remind(begun)
            ready, _ = self.ray.wait([*flying, *self._starting], num_returns=1, timeout=LOOK)
            for reference in ready:
                if reference in self._starting:
                    self._arrived(reference)
                    continue
                done = flying.pop(reference)
                done.member.load -= 1
                try:
                    answer = self.ray.get(reference)
                except self._deadly as error:
                    self._lost(done.member, error)
                    again.append(_Call(done.member, done.unit, _counted(done.tries, error)))
                    continue
                except self.ray.exceptions.RayError as error:
                    raise MotaError(f"a worker of the cluster failed: {_said(error)}") from error
                yield answer

    def close(self) -> None:
        """End the actors."""
        for member in [*self._members, *self._starting.values()]:
            self.ray.kill(member.actor)
        self._members.clear()
        self._starting.clear()

    @property
    def _deadly(self) -> tuple[type[Exception], ...]:
        """What is raised where an actor, its machine, or an answer on it is gone."""
        errors = self.ray.exceptions
        return (
            errors.RayActorError,
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
        )

    def _start(self) -> None:
        actor = self.start()
        self._starting[actor.ready.remote()] = _Member(actor)

    def _free(self) -> _Member | None:
        """The actor that holds the fewest units, if it may have another."""
        member = min(self._members, key=lambda member: member.load, default=None)
        return member if member is not None and member.load < self.ahead else None

    def _arrived(self, reference: Any) -> None:
        member = self._starting.pop(reference)
        try:
            self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            self._deaths += 1
            if self._deaths > RETRIES:
                hint = "every machine needs the same versions of mota and its plugins; its logs on the cluster say more"
                raise MotaError(f"the workers of the cluster do not start: {_said(error)}", hint) from error
            self._start()
        else:
            self._deaths = 0
            self._members.append(member)

    def _lost(self, member: _Member, error: Exception) -> None:
        if not member.gone:
            member.gone = True
            self.died.append(_said(error))
            self.say("a worker of the cluster died; its rows go to others")
            self._members.remove(member)
            self.ray.kill(member.actor)  # it may be out of reach, and alive
            self._start()

    def _remind(self, begun: float) -> float:
        if not self._members and time.monotonic() - begun > PATIENCE:
            self.say("no worker has started yet: has the cluster room for one?")
            return time.monotonic()
        return begun


def _counted(tries: int, error: Exception) -> int:
    if tries < RETRIES:
        return tries + 1
    raise MotaError(
        f"{tries + 1} workers died over the same rows: {_said(error)}",
        "is memory short? the logs of the workers, on the cluster, say more; what is finished is kept",
    ) from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[-_LONGEST:]
