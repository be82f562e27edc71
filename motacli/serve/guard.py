"""What every request goes through before anything is done for it."""

from __future__ import annotations

import logging

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motacli.serve.bodies import body_limit, drain, limited, refuse_announced, refuse_large_head
from motacli.serve.headers import with_safe_headers
from motacli.serve.limits import Concurrency, Rate
from motacli.serve.origins import refuse_foreign, require_host
from motacli.serve.problems import Refused, problem
from motacli.serve.settings import Settings
from motacli.serve.tokens import Tokens

log = logging.getLogger(__name__)


class Guard:
    """An ASGI app around another: it checks host, origin, rate, token, length and load, in this order."""

    def __init__(self, app: ASGIApp, settings: Settings, tokens: Tokens) -> None:
        self._app, self._settings, self._tokens = app, settings, tokens
        self._rate, self._load = Rate(settings.rate), Concurrency(settings.concurrency)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, with_safe_headers(send))

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        limit, started = body_limit(headers, self._settings), False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check(scope, headers, limit)
            with self._load.slot():
                await self._app(scope, limited(receive, limit, self._settings.timeout), noting)
        except Refused as refused:
            if started:
                raise
            if headers.get("expect") is None:  # else nothing is sent before we ask for it
                await drain(receive, 2 * limit)
            await refused.response()(scope, receive, send)
        except ClientDisconnect:
            return  # nobody is left to be told
        except Exception:
            log.exception("a request failed")
            if started:
                raise
            await problem(500, "the server failed at this", "its own output says how")(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers, limit: int) -> None:
        if scope["http_version"] not in ("1.0", "1.1"):
            raise Refused(505, "this server speaks HTTP/1.1")
        refuse_large_head(headers, scope.get("raw_path") or b"", scope["query_string"])
        refuse_foreign(headers, require_host(headers, self._settings), scope["path"])
        self._rate.take((scope.get("client") or ("",))[0])
        if not self._tokens.lets_in(HTTPConnection(scope)):
            raise Refused(401, "this needs the token", "log in, or send it: Authorization: Bearer TOKEN", _CHALLENGE)
        refuse_announced(headers, limit)


_CHALLENGE = {"www-authenticate": "Bearer"}
