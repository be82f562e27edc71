"""How a server is set: who may ask it, how much at once, how large, and how long anything may take."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from motacli.errors import UsageError

SHORTEST_TOKEN = 16
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    ``token`` has to come with every request for data, where it is given; ``names`` are host names that the server may
    be asked by, besides addresses and its own ``host``. ``max_upload`` is in bytes, for all pictures of a request
    together, ``max_pixels`` for each of them. ``concurrency`` requests are under way at most; ``rate`` is how many a
    client may send per second in the long run, 0 for any number. ``searches`` and ``decoders`` are threads and
    processes. A picture may take ``decode_seconds``; a client may take ``timeout`` seconds to send a request, and as
    long again to take an answer. ``kept_uploads`` pictures stay known, so that they need not be sent with every letter
    typed. Every ``watch_seconds`` the server looks whether the index was updated.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    names: tuple[str, ...] = ()
    max_upload: int = 20 * 10**6
    max_pixels: int = 64 * 10**6
    concurrency: int = 64
    rate: float = 50.0
    searches: int = 2
    decoders: int = 2
    decode_seconds: float = 10.0
    timeout: float = 20.0
    kept_uploads: int = 256
    watch_seconds: float = 2.0

    def __post_init__(self) -> None:
        """Raise `UsageError` for what would leave the server open or useless."""
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise UsageError(f"a token of {len(self.token)} characters can be guessed", f"{SHORTEST_TOKEN} at least")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and " " not in self.token):
            raise UsageError("a token has to be of ASCII letters, digits and signs", "it is sent in a header")
        if self.token is None and not self.loopback:
            raise UsageError(
                f"host {self.host!r} can be reached by others, who could look at all pictures",
                "give --token auto or a token of your own, or leave --host out",
            )
        for name in ("max_upload", "max_pixels", "concurrency", "searches", "decoders", "decode_seconds", "timeout"):
            _positive(name, getattr(self, name))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: ``localhost``, or an address like 127.0.0.1 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_size(text: str) -> int:
    """A number of bytes as people write it: ``20MB``, ``512 kB``, ``1000``; `UsageError` for anything else."""
    number = text.strip().upper().rstrip("KMGB")
    unit = text.strip().upper()[len(number) :]
    try:
        size = int(float(number) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        raise UsageError(f"{text!r} is no size", "as in 20MB, 512kB or 1000000") from None
    if size < 1:
        raise UsageError(f"a size of {text!r} lets nothing through", "as in 20MB")
    return size


def _positive(name: str, value: Any) -> None:
    if not 0 < value < float("inf"):
        raise UsageError(f"{name.replace('_', ' ')} has to be more than 0, not {value}")
