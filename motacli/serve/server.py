"""A running server: it listens, answers until it is told to end, and finishes what is under way."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from motacli.errors import MotaError
from motacli.search.searcher import Searcher
from motacli.serve.app import create_app
from motacli.serve.protocol import timed
from motacli.serve.settings import Settings

GRACE = 30
"""Seconds that requests under way have when the server is told to end."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, at any free port for 0; `MotaError` where that cannot be."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=256)
    except OSError as error:
        hint = "another port, as in --port 8001, or --port 0 for any that is free"
        raise MotaError(f"cannot listen at {host} port {port}: {error.strerror or error}", hint) from error


def address_of(listening: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(
    searcher: Searcher, settings: Settings, listening: socket.socket, ready: Callable[[], None] = lambda: None
) -> None:
    """Answer until SIGINT or SIGTERM; ``ready`` is called once requests are answered."""
    config = uvicorn.Config(
        create_app(searcher, settings),
        http=timed(settings.timeout),
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=32 * 1024,
    )
    _Server(config, ready).run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, which in the end raises the signal again: but then nobody else could end well."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
