"""Who asks, as far as a browser says: the server's own page, or another site that would use the browser against it."""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.datastructures import Headers

from motacli.serve.problems import Refused
from motacli.serve.settings import Settings, is_loopback

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_FOREIGN = ("cross-site", "same-site")


def require_host(headers: Headers, settings: Settings) -> str:
    """The ``Host`` that was asked for; `Refused` unless the server goes by it.

    Any site can let a name of its own point to this machine (DNS rebinding), and its pages then count as the server's
    own. They cannot do that with an address, nor with a name that is not theirs.
    """
    given = headers.getlist("host")
    if len(given) != 1:
        raise Refused(400, "a request has to name one host")
    found = _HOST.fullmatch(given[0].lower())
    if found is None or not _is_ours(found["name"].strip("[]"), settings):
        raise Refused(421, "this server does not go by that name", "ask by its address, or start it with --allow-host")
    return given[0].lower()


def refuse_foreign(headers: Headers, host: str, path: str) -> None:
    """`Refused` for requests that a page of another site makes; a link to the page itself may be followed."""
    origin = headers.get("origin")
    foreign = origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}")
    if foreign or (headers.get("sec-fetch-site") in _FOREIGN and path != "/"):
        raise Refused(403, "a page of another site may not ask this server")


def _is_ours(name: str, settings: Settings) -> bool:
    if name in {"localhost", settings.host.lower(), *(own.lower() for own in settings.names)}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return not settings.loopback and name == socket.gethostname().lower()
    return not settings.loopback or is_loopback(name)
