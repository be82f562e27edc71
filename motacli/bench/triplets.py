"""`mota bench gen-triplets`: our run of a language model, and the barest loop that gets the same answers.

The bare loop sends the same requests and reads the same answers, but checks nothing, writes nothing and survives
nothing: what we are slower than it is what a run that can be trusted costs.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from motacli.bench.harness import Case, Work
from motacli.bench.loopback import ANSWER, Loopback
from motacli.contracts import ImageRef, ImageText
from motacli.errors import MotaError
from motacli.llms.asking import AskOptions
from motacli.llms.openai import OpenAIChat, OpenAIOptions, completions_url
from motacli.llms.secrets import Key
from motacli.triplets.llm import LLMGenerator, LLMOptions
from motacli.triplets.pipeline import generate
from motacli.triplets.schema import iter_triplets


@dataclass(frozen=True)
class Inputs:
    """A server, and a folder for what is written."""

    server: Loopback
    folder: tempfile.TemporaryDirectory[str]


@dataclass(frozen=True)
class LoopbackCase:
    """``rows`` captions, ``in_flight`` requests at once, each answered after ``latency_ms``."""

    name: str
    rows: int = 6400
    in_flight: int = 64
    latency_ms: int = 50

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows, requests in flight, latency, and the requests per second that nothing could exceed."""
        ideal = self.in_flight * 1000 // self.latency_ms
        return {
            "rows": self.rows,
            "in_flight": self.in_flight,
            "latency_ms": self.latency_ms,
            "ideal_requests_per_second": ideal,
        }

    @property
    def counted(self) -> tuple[str, int]:
        """Requests."""
        return "requests", self.rows

    def inputs(self, seed: int) -> Inputs:
        """Start the server."""
        return Inputs(Loopback.start(self.latency_ms / 1000), tempfile.TemporaryDirectory())

    def ours(self, inputs: Inputs) -> Work:
        """`mota gen-triplets`, without the command line."""
        generator = self._generator(inputs)
        names = count()

        def work() -> set[str]:
            out = Path(inputs.folder.name) / f"{next(names)}.jsonl"
            generate(self._rows(), generator, out)
            return {triplet.target_caption for triplet in iter_triplets(out)}

        return work

    def baseline(self, inputs: Inputs) -> Work:
        """The bare loop."""
        generator = self._generator(inputs)

        def work() -> set[str]:
            return asyncio.run(self._bare(inputs, generator))

        return work

    def check(self, inputs: Inputs, ours: set[str], baseline: set[str]) -> int:
        """Both have the one answer that there is."""
        if not ours == baseline == {ANSWER["triplets"][0]["target_caption"]}:
            raise MotaError(f"{self.name}: the sides got different answers")
        return 0

    def _rows(self) -> Iterator[ImageText]:
        for row in range(self.rows):
            yield ImageText(ImageRef(f"{row}.jpg", Path(f"{row}.jpg")), f"a photo of thing {row} on a table in a room")

    def _generator(self, inputs: Inputs) -> LLMGenerator:
        client = OpenAIChat(OpenAIOptions(url=inputs.server.url, model="loopback"), Key(""))
        return LLMGenerator(LLMOptions(asking=AskOptions(concurrency=self.in_flight)), client)

    async def _bare(self, inputs: Inputs, generator: LLMGenerator) -> set[str]:
        import aiohttp

        client: Any = generator.client
        url = completions_url(inputs.server.url)
        found: set[str] = set()
        rows = self._rows()

        async def worker(session: aiohttp.ClientSession) -> None:
            for row in rows:
                request, _ = generator.request(row)
                async with session.post(url, json=client.body(request)) as response:
                    answer = await response.json()
                text = answer["choices"][0]["message"]["content"]
                found.update(triplet["target_caption"] for triplet in json.loads(text)["triplets"])

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(worker(session) for _ in range(self.in_flight)))
        return found


CASES: dict[str, Case] = {"loopback": LoopbackCase("loopback")}
