"""What a worker does for a cache, and what it gives back. Nothing here imports Ray."""

from __future__ import annotations

import os
import socket
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import NoReturn

import torch

from motacli.cache.batching import Span
from motacli.cache.decoding import Decoded, Decoder, Row
from motacli.cache.encoder import Encoder, Recipe, in_this_process
from motacli.cache.fingerprints import difference, made_of, named
from motacli.cache.pieces import Piece, one_piece
from motacli.contracts import Backbone, ImageRef
from motacli.datasets import picture_exists
from motacli.errors import DataError, MotaError, UsageError
from motacli.remote.urls import is_remote


@dataclass(frozen=True)
class Task:
    """How rows are encoded, and by which backbone: one of that fingerprint.

    ``folder`` is where relative paths begin, if it is there.
    """

    recipe: Recipe
    threads: int
    backbone: str
    fingerprint: str
    made_of: dict[str, str]
    folder: str

    @classmethod
    def of(cls, backbone: Backbone, recipe: Recipe, threads: int) -> Task:
        """For the backbone that the cache is to be of; broken pictures are told, whatever the recipe says."""
        told = replace(recipe, strict=False)
        return cls(told, threads, backbone.name, backbone.fingerprint(), made_of(backbone), os.getcwd())

    @property
    def of_captions(self) -> Task:
        """The same for captions: nothing is decoded."""
        return replace(self, recipe=replace(self.recipe, decode="threads", workers=0, compile=False))

    def require(self, backbone: Backbone) -> None:
        """Raise `MotaError` where a worker's backbone is another one."""
        if (found := backbone.fingerprint()) != self.fingerprint:
            raise MotaError(
                f"the backbone is another one there, {named(backbone.name, found)}, not "
                f"{named(self.backbone, self.fingerprint)}{difference(made_of(backbone), self.made_of)}",
                "every machine needs the same weights, and the same versions of mota and its plugins",
            )


@dataclass(frozen=True)
class Failure:
    """An error on its way between machines, which not every exception survives."""

    kind: type[MotaError]
    message: str
    hint: str
    trace: str = field(repr=False)

    @classmethod
    def of(cls, error: MotaError) -> Failure:
        """An error of ours."""
        kind = next(kind for kind in (DataError, UsageError, MotaError) if isinstance(error, kind))
        return cls(kind, error.message, error.hint, "".join(traceback.format_exception(error)))

    def throw(self, machine: str) -> NoReturn:
        """Raise it, saying where it was."""
        error = self.kind(f"worker on {machine}: {self.message}", self.hint)
        error.add_note(self.trace)
        raise error


@dataclass(frozen=True)
class Answer:
    """What came of a unit: pieces, or the ``failure`` that ended it.

    ``missing`` are the pictures that are not there, seen from that machine.
    """

    machine: str
    pieces: tuple[Piece, ...] = ()
    missing: tuple[ImageRef, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class SentRows:
    """Pictures that came with a unit, whatever span is asked for."""

    rows: Sequence[Row]

    def refs(self, start: int, stop: int) -> Iterator[Row]:
        """All of them."""
        return iter(self.rows)


@dataclass(frozen=True)
class SentCaptions:
    """Captions that came with a unit."""

    texts: Sequence[str]

    def between(self, start: int, stop: int) -> Sequence[str]:
        """All of them."""
        return self.texts


class CacheWorker:
    """Holds a backbone, made at the first unit: what goes wrong with it is an answer, not the end of a process.

    Two units may come at once, each in a thread: one is encoded while the first pictures of the other are decoded.
    """

    def __init__(self, make: Callable[[], Backbone]) -> None:
        self._make = make
        self._making, self._turn = threading.Lock(), threading.Lock()
        self._backbone: Backbone | None = None
        self._encoders: list[tuple[Task, Encoder]] = []

    def ready(self) -> None:
        """Say that this process is there."""

    def pictures(self, task: Task, span: Span, rows: Sequence[Row]) -> Answer:
        """The pictures of a span of the source, which begins where a batch does, in one piece."""
        return _answered(lambda: self._pictures(task, span, rows))

    def captions(self, task: Task, span: Span, texts: Sequence[str]) -> Answer:
        """The captions of a span of the cache, which is a window."""
        return _answered(lambda: (self._captions(task, span, texts), ()))

    def _pictures(self, task: Task, span: Span, rows: Sequence[Row]) -> tuple[tuple[Piece, ...], tuple[ImageRef, ...]]:
        piece = one_piece(list(self._encoder(task).pictures(SentRows(rows), [span])))
        broken = {one.id for one in piece.broken}
        here = (ref for ref, _ in rows if ref.id in broken and not is_remote(ref.path))
        missing = (ref for ref in here if not picture_exists(ref))
        return (piece,), tuple(missing)

    def _captions(self, task: Task, span: Span, texts: Sequence[str]) -> tuple[Piece, ...]:
        encoder = self._encoder(task)
        with self._turn:
            return tuple(encoder.captions(SentCaptions(texts), [span]))

    def _encoder(self, task: Task) -> Encoder:
        torch.set_num_threads(task.threads)  # of this thread
        with self._making:
            return self._made(task)

    def _made(self, task: Task) -> Encoder:
        for known, encoder in self._encoders:
            if known == task:
                return encoder
        with suppress(OSError):
            os.chdir(task.folder)
        if self._backbone is None:
            self._backbone = self._make()
        task.require(self._backbone)
        encoder = in_this_process(self._backbone, task.recipe, lasting=True)
        encoder = replace(encoder, decoder=_in_turn(encoder.decoder, self._turn))
        self._encoders.append((task, encoder))
        return encoder


def _in_turn(decoder: Decoder, turn: threading.Lock) -> Decoder:
    """A decoder that begins at once, and gives pictures when it is its turn."""

    def decoded(rows: Iterable[Row], most: int) -> Generator[Decoded, None, None]:
        with closing(decoder(rows, most)) as found:
            first = next(found, None)  # while further ones are decoded ahead
            with turn:
                if first is not None:
                    yield first
                yield from found

    return decoded


def _answered(work: Callable[[], tuple[tuple[Piece, ...], tuple[ImageRef, ...]]]) -> Answer:
    machine = socket.gethostname()
    try:
        pieces, missing = work()
    except MotaError as error:
        return Answer(machine, failure=Failure.of(error))
    return Answer(machine, pieces, missing)
