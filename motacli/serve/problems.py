"""How a request is refused: one JSON object, ``{"error": {"message": ..., "hint": ...}}``, whoever refuses it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

LONGEST = 400
_SAID = {404: "there is nothing here by that name", 405: "this cannot be done here"}


class Told(BaseModel):
    """What is wrong, and what to do about it."""

    message: str
    hint: str = ""


class Problem(BaseModel):
    """The body of every answer that is none."""

    error: Told


class Json(JSONResponse):
    """JSON that not even a browser that takes it for a page finds a tag in."""

    def render(self, content: Any) -> bytes:
        """The bytes; ``<`` stands in texts only."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.replace("<", "\\u003c").encode("utf-8", "replace")


class Refused(HTTPException):
    """Raised anywhere in the handling of a request to end it with a status, a message and a hint."""

    def __init__(self, status: int, message: str, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.message, self.hint = message, hint

    def response(self) -> Json:
        """The answer that says so."""
        return problem(self.status_code, self.message, self.hint, self.headers)


def problem(status: int, message: str, hint: str = "", headers: Mapping[str, str] | None = None) -> Json:
    """The answer to a request that is refused."""
    told = Told(message=_shortened(message), hint=_shortened(hint))
    return Json(Problem(error=told).model_dump(), status, headers=dict(headers or {}))


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """What the OpenAPI description says of refusals."""
    return {status: {"model": Problem} for status in statuses}


def add_handlers(app: FastAPI) -> None:
    """Let every refusal of an app be told as a `Problem`."""
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


def _http(request: Request, error: Exception) -> Json:
    assert isinstance(error, StarletteHTTPException)
    if isinstance(error, Refused):
        return error.response()
    if error.status_code == 400 and "exceeded maximum size" in str(error.detail):
        return problem(413, "a text of the form is too long")
    said = _SAID.get(error.status_code, str(error.detail))
    return problem(error.status_code, said, headers=error.headers)


def _invalid(request: Request, error: Exception) -> Json:
    assert isinstance(error, RequestValidationError)
    mistakes = [f"{_place(mistake['loc'])}: {mistake['msg']}" for mistake in error.errors()[:3]]
    return problem(422, "; ".join(mistakes), "see /openapi.json for what is taken")


def _place(location: tuple[int | str, ...]) -> str:
    """The field's name: where in the request it stood is of no use to people."""
    return " ".join(str(part) for part in location[1:]) or "request"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
