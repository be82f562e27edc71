"""Many clients at one server: how long each answer takes, what went wrong, and the server's memory meanwhile."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from motacli.errors import MotaError

SAMPLES = 20
"""How often memory is looked at in a run."""


@dataclass(frozen=True)
class Query:
    """One search: the fields of its form, and a picture's file where it sends one."""

    fields: Mapping[str, str]
    picture: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Load:
    """What was seen. ``rankings`` are the ids that each query found, ``memory_mb`` of server and decoders, in turn."""

    seconds: tuple[float, ...] = field(repr=False)
    errors: tuple[str, ...]
    rankings: tuple[tuple[str, ...], ...] = field(repr=False)
    memory_mb: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share (of 100) of the answers came."""
        return float(np.percentile(self.seconds, share)) * 1000


@contextmanager
def served(index: Path, *options: str) -> Iterator[tuple[str, int]]:
    """Address and process id of `mota serve` for an index, as long as the block lasts."""
    command = [sys.executable, "-m", "motacli", "serve", str(index), "--port", "0", "--rate", "0", "--quiet", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise MotaError("the server did not start", "its own words are above")
        yield url, process.pid
    finally:
        process.terminate()
        process.communicate()


Told = Callable[[int, float], None]


def load(
    url: str,
    process: int,
    queries: Sequence[Query],
    requests: int,
    clients: int,
    told: Told = lambda answers, megabytes: None,
) -> Load:
    """Let ``clients`` ask ``requests`` searches, going through ``queries`` again and again.

    ``told`` hears how many were answered so far each time that memory is looked at.
    """
    return asyncio.run(_load(url, process, queries, requests, clients, told))


async def _load(url: str, process: int, queries: Sequence[Query], requests: int, clients: int, told: Told) -> Load:
    numbers, seconds, errors = iter(range(requests)), list[float](), list[str]()
    found: dict[int, tuple[str, ...]] = {}
    memory = [resident_mb(process)]
    marks = {round(mark) for mark in np.linspace(0, requests, SAMPLES + 1)[1:]}

    async def client(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            which = number % len(queries)
            began = time.perf_counter()
            try:
                ids = await _ask(session, url, queries[which])
            except (aiohttp.ClientError, MotaError, TimeoutError) as error:
                errors.append(f"{type(error).__name__}: {error}")
                continue
            seconds.append(time.perf_counter() - began)
            if found.setdefault(which, ids) != ids:
                errors.append(f"query {which} found something else than before")
            if len(seconds) in marks:
                memory.append(resident_mb(process))
                told(len(seconds), memory[-1])

    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    rankings = tuple(found.get(which, ()) for which in range(min(len(queries), requests)))
    return Load(tuple(seconds), tuple(errors), rankings, tuple(memory))


async def _ask(session: aiohttp.ClientSession, url: str, query: Query) -> tuple[str, ...]:
    form = aiohttp.FormData(dict(query.fields))
    if query.picture is not None:
        form.add_field("image", query.picture, filename="query.jpg", content_type="image/jpeg")
    async with session.post(f"{url}api/search", data=form) as answer:
        document: Any = await answer.json()
        if answer.status != 200:
            raise MotaError(f"{answer.status}: {document}")
        return tuple(hit["id"] for hit in document["results"])


def resident_mb(process: int) -> float:
    """Resident memory of a process and of those that it started, in 10^6 bytes; 0 where the system does not tell."""
    folder = Path(f"/proc/{process}")
    try:
        status = (folder / "status").read_text()
        children = [int(number) for file in folder.glob("task/*/children") for number in file.read_text().split()]
    except OSError:
        return 0.0
    own = re.search(r"VmRSS:\s+(\d+) kB", status)
    return (int(own[1]) * 1024 / 1e6 if own else 0.0) + sum(map(resident_mb, children))
