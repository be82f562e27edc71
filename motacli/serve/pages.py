"""The page's own files, and the way in for those who have a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Form, Response

from motacli.serve.problems import Refused, documented
from motacli.serve.tokens import COOKIE, Tokens

SCRIPT = "text/javascript; charset=utf-8"
ASSETS = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", SCRIPT),
    "/api.js": ("api.js", SCRIPT),
    "/question.js": ("question.js", SCRIPT),
    "/results.js": ("results.js", SCRIPT),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Every file that is served, by its address: what is not listed is not there."""


def make_pages(tokens: Tokens) -> APIRouter:
    """The routes of the page."""
    pages = APIRouter(include_in_schema=False)
    for address, (name, kind) in ASSETS.items():
        pages.get(address)(_asset(name, kind))

    @pages.post("/login", responses=documented(401))
    async def login(token: Annotated[str, Form(max_length=1000)]) -> Response:
        """A cookie for whoever has the token."""
        if not tokens.is_token(token):
            raise Refused(401, "that is not the token", "the line that `mota serve` printed ends with it")
        answer = Response(status_code=204)
        answer.set_cookie(COOKIE, tokens.session(), httponly=True, samesite="strict")
        return answer

    return pages


def _asset(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    content = files("motacli.serve").joinpath("page", name).read_bytes()

    async def asset() -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return asset
