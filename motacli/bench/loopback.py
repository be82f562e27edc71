"""A chat endpoint on loopback that answers after a fixed while, in a process of its own, with unlimited capacity.

python -m motacli.bench.loopback --latency 0.05    # prints its address; ends when stdin does
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from motacli.errors import MotaError

ANSWER = {
    "triplets": [
        {
            "relative_caption": "make it red and put it on a wooden table",
            "target_caption": "a red one on a wooden table, seen from above",
            "modification_type": "attribute",
        }
    ]
}


@dataclass
class Loopback:
    """A running server."""

    process: subprocess.Popen[str]
    url: str

    @classmethod
    def start(cls, latency: float) -> Loopback:
        """Start a server that answers after ``latency`` seconds."""
        argv = [sys.executable, "-m", "motacli.bench.loopback", "--latency", str(latency)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise MotaError("the loopback server did not start")
        return cls(process, url)

    def __del__(self) -> None:
        self.process.kill()
        self.process.communicate()


def completion() -> bytes:
    """The answer to every request."""
    message = {"role": "assistant", "content": json.dumps(ANSWER)}
    return json.dumps(
        {
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 500, "completion_tokens": 60},
        }
    ).encode()


async def _serve(latency: float) -> None:
    from aiohttp import web

    content = completion()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(latency)
        return web.Response(body=content, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05)
    asyncio.run(_serve(parser.parse_args().latency))
