"""A small OpenAI-compatible server on loopback, friendly or hostile, for tests and for measuring.

python tests/llm_server.py --latency 0.05    # prints its address; until stdin is closed
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from aiohttp import web

CAPTION = re.compile(r'Reference caption, as a JSON string: (".*")')
COUNT = re.compile(r"Write (\d+) different")
Handler = Callable[[web.Request, dict[str, Any], str], Awaitable[web.StreamResponse]]


def written(caption: str, number: int = 0) -> dict[str, str]:
    """The triplet that the server writes for a caption: always the same."""
    return {
        "relative_caption": f"make it number {number}",
        "target_caption": f"{caption}, number {number}",
        "modification_type": ("attribute", "count")[number % 2],
    }


def good_text(body: Mapping[str, Any], caption: str) -> str:
    """A good answer to a request."""
    count = int(found.group(1)) if (found := COUNT.search(user_text(body))) else 1
    answer: dict[str, Any] = {"triplets": [written(caption, number) for number in range(count)]}
    if '"reference_caption"' in user_text(body):
        answer = {"reference_caption": f"seen: {caption}", **answer}
    return json.dumps(answer)


def user_text(body: Mapping[str, Any]) -> str:
    """The user's text in a request."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else next(part["text"] for part in content if part["type"] == "text")


def completion(text: str | None, finish: str = "stop") -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "x",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


def _text(make: Callable[[dict[str, Any], str], str]) -> Handler:
    async def answer(request: web.Request, body: dict[str, Any], caption: str) -> web.StreamResponse:
        return web.json_response(completion(make(body, caption)))

    return answer


def _status(status: int, headers: Mapping[str, str] | None = None, text: str = "") -> Handler:
    async def answer(request: web.Request, body: dict[str, Any], caption: str) -> web.StreamResponse:
        content = {"error": {"message": text or f"status {status}", "code": status}}
        return web.json_response(content, status=status, headers=headers)

    return answer


def _body(content: bytes) -> Handler:
    async def answer(request: web.Request, body: dict[str, Any], caption: str) -> web.StreamResponse:
        return web.Response(body=content, content_type="application/json")

    return answer


async def _drop(request: web.Request, body: dict[str, Any], caption: str) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def _drop_halfway(request: web.Request, body: dict[str, Any], caption: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [{"message"')
    assert request.transport is not None
    request.transport.close()
    return response


async def _slow(request: web.Request, body: dict[str, Any], caption: str) -> web.StreamResponse:
    await asyncio.sleep(SLOW_SECONDS)
    return web.json_response(completion(good_text(body, caption)))


async def _quotes_the_key(request: web.Request, body: dict[str, Any], caption: str) -> web.StreamResponse:
    return web.json_response({"error": {"message": f"bad: {request.headers.get('Authorization')}"}}, status=500)


SLOW_SECONDS = 1.5
MEGABYTE = "a very long answer " * 55_000
FAULTS: dict[str, Handler] = {
    "429": _status(429),
    "429 with Retry-After": _status(429, {"Retry-After": "0.2"}),
    "500": _status(500),
    "503": _status(503, {"Retry-After": "0"}),
    "408": _status(408),
    "slow": _slow,
    "dropped": _drop,
    "dropped halfway": _drop_halfway,
    "truncated JSON": _text(lambda body, caption: good_text(body, caption)[: -len(caption) // 2 - 30]),
    "wrong schema": _text(lambda body, caption: '{"triplets": [{"relative_caption": 3, "target_caption": ["x"]}]}'),
    "another schema": _text(lambda body, caption: '{"answer": "a red one"}'),
    "plain prose": _text(lambda body, caption: "Sure! Here is what you asked for: make it red."),
    "empty choices": _body(b'{"choices": []}'),
    "null content": _body(json.dumps(completion(None)).encode()),
    "megabyte": _text(lambda body, caption: MEGABYTE),
    "invalid UTF-8": _body(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "not JSON": _body(b"<html><body>Bad gateway</body></html>"),
    "cut off": _body(json.dumps(completion('{"triplets": [{"rel', "length")).encode()),
    "quotes the key": _quotes_the_key,
}
"""Ways to fail that asking again mends."""
TOLERABLE: dict[str, Handler] = {
    "prose around JSON": _text(
        lambda body, caption: f"Here you are:\n```json\n{good_text(body, caption)}\n```\nHope it helps!"
    ),
    "one triplet alone": _text(lambda body, caption: json.dumps(written(caption))),
    "a bare list": _text(lambda body, caption: json.dumps([written(caption)])),
    "thinking first": _text(lambda body, caption: f'<think>{{"triplets": [no]}}</think>{good_text(body, caption)}'),
}
"""Ways to ignore the format that are read all the same."""


class LLMServer:
    """``with LLMServer() as server``: ``server.url``, and ``server.asked`` counts requests by caption.

    ``faults`` gives each kind's probability; ``always`` is a handler of every request instead. ``draw`` says what a
    fault depends on besides the seed: how many requests came before (``order``), only the caption and how often it was
    asked about (``attempt``), or the caption alone (``caption``), which then fails for good.
    """

    def __init__(
        self,
        faults: Mapping[str, float] | None = None,
        always: Handler | None = None,
        latency: float = 0.0,
        seed: int = 0,
        port: int = 0,
        draw: Literal["order", "attempt", "caption"] = "order",
    ) -> None:
        self.faults, self.always, self.latency, self.port = dict(faults or {}), always, latency, port
        self.asked: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.keep = True
        self.draw = draw
        self.under_way = self.most_under_way = 0
        self._seed, self._random = seed, random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """The address that clients are given."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> LLMServer:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        found = CAPTION.search(user_text(body))
        caption = json.loads(found.group(1)) if found else ""
        if self.keep:
            self.asked[caption] += 1
            self.bodies.append(body)
            self.headers.append(request.headers.copy())
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            if self.always is not None:
                return await self.always(request, body, caption)
            kind = self._kind(caption)
            self.served[kind] += 1
            handler = FAULTS.get(kind) or TOLERABLE.get(kind)
            if handler is not None:
                return await handler(request, body, caption)
            return web.json_response(completion(good_text(body, caption)))
        finally:
            self.under_way -= 1

    def _kind(self, caption: str) -> str:
        attempt = self.asked[caption] if self.draw == "attempt" else 0
        drawn = self._random if self.draw == "order" else random.Random(f"{self._seed}|{attempt}|{caption}")
        draw = drawn.random()
        for kind, share in self.faults.items():
            draw -= share
            if draw < 0:
                return kind
        return "good"


def mixed(share: float, kinds: Mapping[str, Handler] = FAULTS) -> dict[str, float]:
    """All kinds, equally likely, adding up to ``share``."""
    return {kind: share / len(kinds) for kind in kinds}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--faults", type=float, default=0.0)
    chosen = parser.parse_args()
    with LLMServer(mixed(chosen.faults), latency=chosen.latency) as server:
        server.keep = False
        print(server.url, flush=True)
        sys.stdin.read()
