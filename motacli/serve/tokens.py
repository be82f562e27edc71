"""The token: in a header for programs; for the page, a cookie that is given for it."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from starlette.requests import HTTPConnection

COOKIE = "mota-session"
PROTECTED = ("/api/", "/openapi.json")
"""What needs the token. The page's own files, which say nothing about the index, do not: they ask for it."""


class Tokens:
    """Knows one token, or lets everybody in where there is none. Comparisons take the same time for every guess."""

    def __init__(self, token: str | None) -> None:
        self._digest = None if token is None else _digest(token)
        self._session = secrets.token_urlsafe(32)

    @property
    def needed(self) -> bool:
        """Whether anybody needs a token."""
        return self._digest is not None

    def is_token(self, given: str) -> bool:
        """Whether it is the token."""
        return self._digest is None or hmac.compare_digest(_digest(given), self._digest)

    def session(self) -> str:
        """What the cookie holds for whoever gave the token: good until the server ends, and not the token itself."""
        return self._session

    def lets_in(self, request: HTTPConnection) -> bool:
        """Whether a request may have what it asks for."""
        if self._digest is None or not request.scope["path"].startswith(PROTECTED):
            return True
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return hmac.compare_digest(_digest(request.cookies.get(COOKIE, "")), _digest(self._session))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
