"""How many requests may be under way: fewer when the server says it is too many, slowly more again when it does not."""

from __future__ import annotations

import asyncio
import time
from collections import deque

SLOWER = 0.7
"""What is left of the limit when a server limits the rate; at most once a second."""
FASTER = 0.05
"""How much the limit grows with each request that ends while it is reached."""


class Pace:
    """``async with pace:`` around a request; ``under_way`` are so many now. The limit stays within 1 and ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self.under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._slowed = 0.0

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return max(1, int(self._limit))

    def slower(self) -> None:
        """The server said that it is too many."""
        now = time.monotonic()
        if now - self._slowed >= 1.0:
            self._limit = max(1.0, min(self._limit, self.under_way + 1) * SLOWER)
            self._slowed = now

    async def __aenter__(self) -> None:
        while self.under_way >= self.limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()
                raise
        self.under_way += 1

    async def __aexit__(self, *error: object) -> None:
        self.under_way -= 1
        self._limit = min(self._most, self._limit + FASTER)
        self._wake()

    def _wake(self) -> None:
        free = self.limit - self.under_way
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
