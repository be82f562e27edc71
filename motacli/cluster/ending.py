"""How work on a cluster ends before its time: what workers have done already is not lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from motacli.cluster.pool import Pool
from motacli.cluster.triplet_worker import Answers
from motacli.interrupts import Interrupts

GRACE = 10.0
"""Seconds that rows under way have after Ctrl-C, and that workers have to pass on what is there."""


class _Enough(Exception):
    """What is not here yet is not waited for."""


@dataclass
class Ending:
    """Runs a pool until its pieces are done, an answer brings an error, or Ctrl-C is pressed."""

    pool: Pool
    interrupts: Interrupts
    error: BaseException | None = field(default=None, init=False)
    _until: float | None = field(default=None, init=False)

    def answers(self, call: Callable[[Any, Any], Any], pieces: Iterator[Any]) -> Iterator[Answers]:
        """What comes back; after an error or Ctrl-C, what is there then."""
        try:
            for answer in self.pool.run(call, self._until_the_end(pieces), self._look):
                self.error = self.error or answer.error
                yield answer
        except _Enough:
            return

    def throw(self) -> None:
        """Raise what ended the work, if something did."""
        if self.error is not None:
            raise self.error
        if self.interrupts.count:
            raise KeyboardInterrupt

    @property
    def _has_begun(self) -> bool:
        return self.error is not None or self.interrupts.count > 0

    def _until_the_end(self, pieces: Iterator[Any]) -> Iterator[Any]:
        while not self._has_begun and (piece := next(pieces, None)) is not None:
            yield piece

    def _look(self) -> None:
        if not self._has_begun:
            return
        if self._until is None:
            grace = GRACE if self.error is None else 0.0
            self._until = time.monotonic() + grace + GRACE
            for actor in self.pool.actors:
                actor.stop.remote(grace)
        elif time.monotonic() > self._until:
            raise _Enough
