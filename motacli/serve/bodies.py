"""How much clients send: not more than is allowed, however they announce it, and not slower."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from motacli.serve.problems import Refused
from motacli.serve.settings import Settings

FORM = 256 * 1024
"""Bytes of a request besides its pictures: texts, names, and what the form itself takes."""
HEAD, ADDRESS = 32 * 1024, 16 * 1024
"""Bytes of all headers together, and of the address that is asked for."""
DRAIN_SECONDS = 2.0


def body_limit(headers: Headers, settings: Settings) -> int:
    """How many bytes a request may have: only forms that hold files may have many."""
    files = headers.get("content-type", "").lower().startswith("multipart/form-data")
    return FORM + (settings.max_upload if files else 0)


def refuse_large_head(headers: Headers, raw_path: bytes, query: bytes) -> None:
    """`Refused` for more headers or a longer address than any browser sends."""
    if len(raw_path) + len(query) > ADDRESS:
        raise Refused(414, "the address is too long")
    if sum(len(name) + len(value) for name, value in headers.raw) > HEAD:
        raise Refused(431, "the headers of the request are too long")


def refuse_announced(headers: Headers, limit: int) -> None:
    """`Refused` where the headers say that too much comes, or do not say how much plainly."""
    lengths = headers.getlist("content-length")
    if lengths and headers.get("transfer-encoding") is not None:
        raise Refused(400, "the length of the request is given in two ways")
    if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
        raise Refused(400, "the length of the request is not a number")
    if lengths and (len(lengths[0]) > 15 or int(lengths[0]) > limit):
        raise _too_much(limit)


def limited(receive: Receive, limit: int, seconds: float) -> Receive:
    """``receive``, which is refused with 413 beyond ``limit`` bytes, and with 408 when they take too long to come."""
    seen, done = 0, False
    deadline = asyncio.get_running_loop().time() + seconds

    async def wrapped() -> Message:
        nonlocal seen, done
        if done:  # what comes now is the client going away, which may take as long as it likes
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise Refused(408, "the request took too long to come", headers={"connection": "close"}) from None
        seen += len(message.get("body", b""))
        done = not message.get("more_body", False)
        if seen > limit:
            await drain(receive, limit)
            raise _too_much(limit)
        return message

    return wrapped


async def drain(receive: Receive, limit: int) -> None:
    """Read on for a moment: who is refused while still sending would never read why."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            seen, more = 0, True
            while more and seen <= limit:
                message = await receive()
                seen += len(message.get("body", b""))
                more = bool(message.get("more_body", False))


def _too_much(limit: int) -> Refused:
    megabytes = f"{limit / 1e6:.1f}".removesuffix(".0")
    hint = "send smaller pictures, or start the server with a higher --max-upload"
    return Refused(413, f"a request may have {megabytes} MB at most", hint, {"connection": "close"})
