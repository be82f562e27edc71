"""`mota bench serve`: searches through the HTTP API by 32 clients at once, beside the same ones in Python in turn.

``python -m motacli.bench.serving --requests 50000`` does our side alone, for as long as one likes, and prints memory on
the way as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from motacli.bench.harness import Case, Work
from motacli.bench.http_load import Load, Query, load, served
from motacli.errors import MotaError
from motacli.plugins import load_plugins

CLIENTS, PICTURES, QUERIES, K = 32, 500, 64, 20
UPLOADS = 8
"""Every eighth query sends its picture, the others name one of the index."""
COLOURS = ("red", "green", "blue", "yellow", "purple", "white", "black", "orange")


@dataclass(eq=False)
class Inputs:
    """An index with an inversion network, made of noise, and composed queries; gone with this object."""

    index: Path
    queries: tuple[Query, ...]
    folder: tempfile.TemporaryDirectory[str]
    running: ExitStack = field(default_factory=ExitStack)

    def __del__(self) -> None:
        self.running.close()
        self.folder.cleanup()


@dataclass(frozen=True)
class ServingCase:
    """So many searches by so many clients. ``speedup`` tells what the way through HTTP and back costs."""

    name: str
    requests: int
    clients: int = CLIENTS
    seen: dict[str, float] = field(default_factory=dict, compare=False, repr=False)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Searches, clients and pictures of the index."""
        return {"searches": self.requests, "clients": self.clients, "pictures": PICTURES}

    @property
    def counted(self) -> tuple[str, int]:
        """Searches."""
        return "searches", self.requests

    def inputs(self, seed: int) -> Inputs:
        """The index and the queries."""
        return make_inputs(seed)

    def ours(self, inputs: Inputs) -> Work:
        """Through a server in a process of its own."""
        url, process = inputs.running.enter_context(served(inputs.index, "--concurrency", str(2 * self.clients)))
        load(url, process, inputs.queries, 2 * self.clients, self.clients)  # it is warm when we begin
        return lambda: load(url, process, inputs.queries, self.requests, self.clients)

    def baseline(self, inputs: Inputs) -> Work:
        """In this process, one after the other."""
        return lambda: asked(inputs, self.requests)

    def check(self, inputs: Inputs, ours: Load, baseline: tuple[tuple[str, ...], ...]) -> int:
        """Every answer has to be there, and to be Python's."""
        if ours.errors:
            raise MotaError(f"{self.name}: {len(ours.errors)} of {self.requests} searches failed: {ours.errors[0]}")
        if len(ours.seconds) != self.requests or ours.rankings != baseline:
            raise MotaError(f"{self.name}: the server ranks otherwise than Python does")
        self.seen.update(p50_ms=ours.percentile(50), p95_ms=ours.percentile(95), server_mb=max(ours.memory_mb))
        return 0

    def figures(self, seconds: float, baseline_seconds: float) -> Mapping[str, float]:
        """How long half of the answers, and all but a twentieth, took at most; the server's memory."""
        return dict(self.seen)


def make_inputs(seed: int) -> Inputs:
    """An index of drawn noise on the disk and queries for it: the same for the same seed."""
    from PIL import Image

    from motacli.search.building import index_folder

    folder = tempfile.TemporaryDirectory(prefix="mota-bench-")
    pictures, random = Path(folder.name) / "pictures", np.random.default_rng(seed)
    pictures.mkdir()
    for number in range(PICTURES):
        small = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((64, 64)).save(pictures / f"{number:04d}.jpg")
    index = Path(folder.name) / "bench.mota"
    index_folder(index, pictures, host=load_plugins(), inversion="lincir")
    return Inputs(index, tuple(_query(pictures, number) for number in range(QUERIES)), folder)


def asked(inputs: Inputs, requests: int) -> tuple[tuple[str, ...], ...]:
    """The rankings of all queries, asked in Python as often as a server would be."""
    from motacli.search.searcher import Searcher

    found: dict[int, tuple[str, ...]] = {}
    with Searcher.open(inputs.index) as searcher:
        for number in range(requests):
            query = inputs.queries[number % len(inputs.queries)]
            with _opened(query) as picture:
                references = [query.fields["reference"]] if "reference" in query.fields else []
                results = searcher.search(picture, query.fields["text"], references=references, k=K).results
            found[number % len(inputs.queries)] = tuple(hit.id for hit in results)
    return tuple(found[which] for which in sorted(found))


def _query(pictures: Path, number: int) -> Query:
    name, text = f"{number * 7 % PICTURES:04d}.jpg", f"in {COLOURS[number % len(COLOURS)]}, seen from afar"
    if number % UPLOADS == 0:
        return Query({"text": text, "k": str(K)}, (pictures / name).read_bytes())
    return Query({"text": text, "k": str(K), "reference": name})


@contextmanager
def _opened(query: Query) -> Iterator[Any]:
    from io import BytesIO

    from PIL import Image

    if query.picture is None:
        yield None
    else:
        with Image.open(BytesIO(query.picture)) as picture:
            yield picture


CASES: dict[str, Case] = {"http-32": ServingCase("http-32", 2000)}


def main() -> None:
    """Our side alone, told as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    given = parser.parse_args()
    inputs = make_inputs(0)
    with served(inputs.index, "--concurrency", str(2 * given.clients)) as (url, process):
        found = load(url, process, inputs.queries, given.requests, given.clients, told=_say)
    shares = {f"p{share}_ms": round(found.percentile(share), 2) for share in (50, 95, 99)}
    memory = [round(megabytes, 1) for megabytes in found.memory_mb]
    print(json.dumps({"answers": len(found.seconds), "errors": found.errors[:5], **shares, "memory_mb": memory}))


def _say(answers: int, megabytes: float) -> None:
    print(f"{answers} answers, {megabytes:.1f} MB", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
