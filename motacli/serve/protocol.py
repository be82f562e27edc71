"""HTTP connections that do not wait for ever: for a request to come, nor for an answer to be taken."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 512


def timed(seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol, whose clients have ``seconds`` to send the head of a request, and as long to read on."""

    class Timed(H11Protocol):
        _head: asyncio.TimerHandle | None = None
        _stuck: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > MOST_CONNECTIONS:
                transport.abort()
            else:
                self._head = self.loop.call_later(seconds, self._drop_silent)

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._head, self._stuck):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._head = _again(self._head, self.loop.call_later(seconds, self._drop_silent))

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stuck = _again(self._stuck, self.loop.call_later(seconds, self.transport.abort))

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._stuck is not None:
                self._stuck.cancel()

        def _drop_silent(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()  # a plain close would wait for what the client does not read

    return Timed


def _again(old: asyncio.TimerHandle | None, new: asyncio.TimerHandle) -> asyncio.TimerHandle:
    if old is not None:
        old.cancel()
    return new
