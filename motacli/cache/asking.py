"""What one may ask of a cache, beyond a backbone and pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from motacli.autocast import Autocast
from motacli.cache.computed import PLAIN
from motacli.errors import UsageError

DType = Literal["float32", "float16"]
Layout = Literal["single", "parts"]
Decode = Literal["threads", "processes", "gpu"]


@dataclass(frozen=True)
class Shard:
    """The ``number``-th, from 1, of ``of`` pieces of a source, all of them runs of neighbouring rows."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``3/64``; `UsageError` for anything else."""
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"{text!r} is no shard", "as in --shard 3/64: the third of 64, counted from 1")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def rows(self, total: int, batch_size: int, window: int) -> tuple[int, int]:
        """First row and the one after the last.

        Where there are rows enough, shards end between two windows of the whole (`motacli.cache.batching`): then every
        batch, and with it every bit, is that of a build in one piece. With fewer rows they end between two batches, if
        all pictures can be read, and with few rows anywhere.
        """
        unit = next((size for size in (window, batch_size) if total >= size * self.of), 1)
        units = -(-total // unit)
        start, stop = (units * edge // self.of for edge in (self.number - 1, self.number))
        return min(start * unit, total), min(stop * unit, total)


@dataclass(frozen=True)
class CacheOptions:
    """How features are kept.

    ``dtype`` is the number type on disk. ``layout`` says whether the finished cache is one file, or a small one over
    the parts it was made in (``<name>.parts``). ``strict`` stops at the first picture that cannot be read; otherwise it
    is left out and recorded. ``append`` adds what a finished cache does not hold yet. ``shard`` makes a piece of it.
    ``decode`` says who decodes pictures ahead of the encoder, ``autocast`` in which number type it multiplies matrices,
    ``compile`` whether its image tower is compiled.
    """

    dtype: DType = "float32"
    layout: Layout = "single"
    strict: bool = True
    append: bool = False
    shard: Shard | None = None
    decode: Decode = "threads"
    autocast: Autocast = "off"
    compile: bool = False

    @property
    def computed(self) -> dict[str, str]:
        """What is not computed in the plain way, for the record: see `motacli.cache.computed`."""
        decode = "gpu" if self.decode == "gpu" else PLAIN["decode"]
        asked = {"autocast": self.autocast, "decode": decode, "compile": "yes" if self.compile else "no"}
        return {name: value for name, value in asked.items() if value != PLAIN[name]}
