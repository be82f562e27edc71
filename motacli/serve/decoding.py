"""Decoding in processes of their own: a picture that crashes or hangs one costs its own request, and no other."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, TypeAlias

from PIL import Image

from motacli.serve.decoder import read_message, write_message
from motacli.serve.problems import Refused
from motacli.serve.settings import Settings

Message: TypeAlias = tuple[dict[str, Any], bytes]
START_SECONDS = 60.0
SERVED = 500
"""Pictures after which a process is replaced: what a decoder leaks does not add up."""


@dataclass(frozen=True, slots=True)
class Small:
    """A thumbnail: a WebP file, and the size in pixels of the picture that it shows."""

    data: bytes = field(repr=False)
    width: int
    height: int


class Decoder:
    """One such process, started when it is first needed and again when it is gone. Used by one thread at a time."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._served, self._ready = 0, False

    def start(self) -> None:
        """Have the process ready before it is needed."""
        self._process = self._process or self._started()

    def pixels(self, data: bytes) -> Image.Image:
        """The picture of a file in mode RGB, as `motacli.datasets.open_image` gives it; `Refused` for others."""
        head, raw = self._ask(data, task="pixels")
        return Image.frombytes("RGB", (head["width"], head["height"]), raw)

    def thumbnail(self, data: bytes, side: int) -> Small:
        """A small copy, ``side`` pixels at most; `Refused` where there is none."""
        head, small = self._ask(data, task="thumbnail", side=side)
        return Small(small, head["width"], head["height"])

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _ask(self, data: bytes, **request: Any) -> tuple[dict[str, Any], bytes]:
        process = self._running()
        if not self._ready:  # starting is not the picture's fault, and on a busy machine it takes its time
            self._ready = (
                self._within(START_SECONDS, process, lambda: read_message(_pipe(process.stdout)))[0] is not None
            )
        answer, late = self._within(
            self._seconds, process, lambda: _exchange(process, {**request, "most": self._most}, data)
        )
        if answer is None:
            self.close()
            reason = "it takes too long to decode" if late else "it cannot be decoded within the limits"
            raise _unfit(reason)
        if "error" in answer[0]:
            raise _unfit(answer[0]["error"])
        return answer

    @staticmethod
    def _within(
        seconds: float, process: subprocess.Popen[bytes], work: Callable[[], Message | None]
    ) -> tuple[Message | None, bool]:
        """What some work with the process gives, None where that ended first; and whether we ended it, being late."""
        late = threading.Event()
        timer = threading.Timer(seconds, _end, (process, late))
        timer.start()
        try:
            return work(), late.is_set()
        except (OSError, ValueError):  # it ended while we wrote, or in the middle of a line
            return None, late.is_set()
        finally:
            timer.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None or self._served >= SERVED:
            self.close()
            self._process, self._served, self._ready = self._started(), 0, False
        self._served += 1
        return self._process

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "motacli.serve.decoder", str(self._most), str(self._seconds)]
        paths = os.pathsep.join(filter(None, sys.path))
        # One thread: those of a numeric library would reserve the memory that is meant for pictures.
        lean = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env={**os.environ, **lean})


class Decoders:
    """Some decoders; who needs one waits until one is free."""

    def __init__(self, settings: Settings) -> None:
        self._all = [Decoder(settings.max_pixels, settings.decode_seconds) for _ in range(settings.decoders)]
        self._free: queue.LifoQueue[Decoder] = queue.LifoQueue()
        for decoder in self._all:
            self._free.put(decoder)

    @contextmanager
    def one(self) -> Iterator[Decoder]:
        """A decoder that nobody else has meanwhile."""
        decoder = self._free.get()
        try:
            yield decoder
        finally:
            self._free.put(decoder)

    def start(self) -> None:
        """Have all processes ready."""
        for decoder in self._all:
            decoder.start()

    def close(self) -> None:
        """End all processes."""
        for decoder in self._all:
            decoder.close()


def _exchange(process: subprocess.Popen[bytes], request: dict[str, Any], data: bytes) -> Message | None:
    write_message(_pipe(process.stdin), request, data)
    return read_message(_pipe(process.stdout))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _unfit(reason: str) -> Refused:
    return Refused(422, f"the picture cannot be used: {reason}", "try another one")
