"""How often a client may ask, and how many requests may be under way."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from motacli.serve.problems import Refused

BURST = 10.0
"""A client that was quiet for so many seconds may send all of their requests at once."""
REMEMBERED = 4096


class Rate:
    """So many requests a second for each client, in the long run; 0 for any number."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._clock = per_second, max(per_second * BURST, 1.0), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count a request; `Refused` with 429, saying when to come again, where the client has none left."""
        if not self._rate:
            return
        now = self._clock()
        left, then = self._left.pop(client, (self._most, now))
        left = min(left + (now - then) * self._rate, self._most)
        if enough := left >= 1:
            left -= 1
        self._left[client] = left, now
        while len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        if not enough:
            wait = {"retry-after": str(max(1, round((1 - left) / self._rate)))}
            raise Refused(429, "too many requests in a short time", "wait a moment", wait)


class Concurrency:
    """So many requests at once."""

    def __init__(self, most: int) -> None:
        self._most, self._now = most, 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A request is under way within it; `Refused` with 429 where too many are."""
        if self._now >= self._most:
            raise Refused(429, "the server is busy", "try again in a second", {"retry-after": "1"})
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1
