"""Pieces of work for a pool of Ray actors, from an iterator of any length, and what comes back.

Not Ray Data: its input is listed before it begins and kept until it ends, and its actors live as long as one data set.
Here the rows come from a file that need not fit memory, and actors hold a language model that takes minutes to load.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from motacli.cluster.triplet_worker import Answers
from motacli.errors import MotaError
from motacli.interrupts import Interrupts

P = TypeVar("P")

AHEAD = 4
"""Pieces that an actor holds at most."""
RETRIES = 3
"""How often a piece is handed out again whose actor died."""
LOOK = 0.5
"""Seconds between two looks at whether Ctrl-C was pressed."""
GRACE = 10.0
"""Seconds that what is under way has after Ctrl-C."""
PATIENCE = 15.0
"""Seconds without any actor before that is said."""


@dataclass
class HandingOut:
    """``call(actor, piece)`` begins a piece and gives the reference of its `Answers`, ``stop(actor, grace)`` ends it.

    ``starting`` are references of what says that an actor is there. Ray starts actors again that die and makes the same
    calls again. With ``ordered``, answers come in the order of the pieces.
    """

    ray: Any
    starting: dict[Any, Any]
    call: Callable[[Any, Any], Any]
    stop: Callable[[Any, float], Any]
    ordered: bool = False
    say: Callable[[str], None] = lambda message: None
    _actors: list[Any] = field(default_factory=list)
    _free: deque[Any] = field(default_factory=deque)
    _flying: dict[Any, Any] = field(default_factory=dict)
    _error: BaseException | None = None

    def run(self, pieces: Iterator[Any]) -> Iterator[Answers]:
        """The answers to all pieces. The first error ends it, after what is there already has been passed on.

        On the first Ctrl-C no further piece is begun, what is under way is waited for, `GRACE` seconds at most, and
        passed on, and `KeyboardInterrupt` is raised at the end; on the second at once.
        """
        with Interrupts() as interrupts:
            yield from self._all(pieces, interrupts)
        if self._error is not None:
            raise self._error
        if interrupts.count:
            raise KeyboardInterrupt

    def _all(self, pieces: Iterator[Any], interrupts: Interrupts) -> Iterator[Answers]:
        last: float | None = None
        began, said = time.monotonic(), False
        more = True
        while more or self._flying:
            if last is None and (interrupts.count or self._error is not None):
                last = self._end(0.0 if self._error is not None else GRACE)
            while more and self._free and last is None:
                more = self._begin(pieces)
            if last is not None:
                more = False
                if time.monotonic() > last:
                    return
            yield from self._come()
            if not said and not self._actors and time.monotonic() - began > PATIENCE:
                said = True
                self.say("no worker has started yet: the cluster may have no room for one")

    def _begin(self, pieces: Iterator[Any]) -> bool:
        """Hand out a piece; False where there is none."""
        piece = next(pieces, None)
        if piece is None:
            return False
        actor = self._free.popleft()
        self._flying[self.call(actor, piece)] = (actor, piece)
        return True

    def _end(self, grace: float) -> float:
        """Tell the actors to come to an end; until when that is waited for."""
        for actor in self._actors if self._flying else ():
            self.stop(actor, grace)
        return time.monotonic() + grace + GRACE

    def _come(self) -> Iterator[Answers]:
        """What came within a short while."""
        flying = list(self._flying)[: 1 if self.ordered else None]
        waited = [*flying, *self.starting]
        if not waited:
            return
        ready, _ = self.ray.wait(waited, num_returns=1, timeout=LOOK)
        for reference in ready:
            if reference in self.starting:
                self._add(reference)
                continue
            actor, piece = self._flying.pop(reference)
            self._free.append(actor)
            answers = self._got(reference, f"over the same rows, such as {piece[0].id!r}")
            self._error = self._error or answers.error
            yield answers

    def _add(self, reference: Any) -> None:
        actor = self.starting.pop(reference)
        answers = self._got(reference, "before it began")
        self._error = self._error or answers.error
        if answers.error is None:
            self._actors.append(actor)
            self._free.extend([actor] * AHEAD)

    def _got(self, reference: Any, doing: str) -> Answers:
        errors = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except (errors.RayActorError, errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
            said = " ".join(str(error).split())[:LONGEST]
            hint = "does it lack memory, or mota on its machine? see the logs of the workers on the cluster"
            return Answers(error=MotaError(f"a worker of the cluster died {doing}: {said}", hint))
        except errors.RayError as error:
            said = " ".join(str(error).split())[-LONGEST:]
            return Answers(error=MotaError(f"a worker of the cluster failed: {said}"))


LONGEST = 300


def in_pieces(items: Iterator[P], size: int) -> Iterator[Sequence[P]]:
    """Lists of ``size`` items, the last one shorter."""
    piece: list[P] = []
    for item in items:
        piece.append(item)
        if len(piece) >= size:
            yield piece
            piece = []
    if piece:
        yield piece
