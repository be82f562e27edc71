"""What a build does for its rows: pictures to parts of features, then captions to parts of text features.

A part ends where a batch does, and batches are the same however often the build was interrupted: see
`motacli.cache.batching`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from motacli.cache.batching import text_windows, window_rows
from motacli.cache.encoder import Encodes
from motacli.cache.listing import Listing
from motacli.cache.manifest import replace_manifest, uncovered
from motacli.cache.part_captions import PartCaptions
from motacli.cache.parts import Part, captions_digest
from motacli.cache.pieces import Piece, one_piece
from motacli.cache.work import MANIFEST, Work
from motacli.console import Progress

PART_ROWS = 4096


@dataclass(frozen=True)
class Pace:
    """When a part is closed: at `PART_ROWS`, or after a second, and later after a hundredth of the time so far."""

    begun: float = field(default_factory=time.monotonic)

    def is_over(self, opened: float) -> bool:
        """Whether a part that was opened at that time is to be closed."""
        now = time.monotonic()
        return now - opened > min(60.0, 1.0 + (now - self.begun) / 100)


@dataclass(frozen=True)
class Encoding:
    """One build: the work it is kept in, and who encodes its rows."""

    work: Work
    encodes: Encodes
    batch_size: int
    progress: Progress

    def encode_pictures(self, listing: Listing) -> None:
        """Encode the pictures that no finished part covers."""
        gaps = uncovered(self.work.parts(), "images", listing.start, listing.stop)
        left = sum(stop - start for start, stop in gaps)
        if left < len(listing):
            self.progress.log(f"going on after {len(listing) - left} of {len(listing)} pictures")
        if gaps:
            self._write(self.encodes.pictures(listing, gaps, self.progress))

    def encode_captions(self, listing: Listing) -> None:
        """Encode the captions that no finished part covers; all pictures are encoded by now."""
        images = [part for part in self.work.parts() if part.kind == "images"]
        total = sum(part.rows for part in images)
        texts = PartCaptions(self.work, images)
        self._drop_texts_of_others(texts, total)
        gaps = uncovered(self.work.parts(), "texts", 0, total)
        broken = sorted(listing.numbers(one.id for part in images for one in part.broken))
        span = (listing.start, listing.stop)
        if windows := list(text_windows(span, window_rows(self.batch_size), broken, gaps)):
            self._write(self.encodes.captions(texts, windows, self.progress))

    def _write(self, pieces: Generator[Piece, None, None]) -> None:
        with closing(pieces), PartWriter(self.work) as writer:
            for piece in pieces:
                writer.add(piece)

    def _drop_texts_of_others(self, texts: PartCaptions, total: int) -> None:
        """Text features belong to captions: those of rows that were encoded anew since may have got other ones."""
        parts = self.work.parts()
        kept = [part for part in parts if part.kind == "images" or _is_current(part, texts, total)]
        if len(kept) < len(parts):
            replace_manifest(self.work.folder / MANIFEST, kept)


def _is_current(part: Part, texts: PartCaptions, total: int) -> bool:
    return part.stop <= total and captions_digest(texts.between(part.start, part.stop)) == part.captions


class PartWriter:
    """Joins pieces to parts and hands these to a thread that writes: encoding never waits for it.

    Pieces may come in any order, as they do from several workers. Left by an exception it still writes what it was
    given.
    """

    def __init__(self, work: Work) -> None:
        self._work, self._pace = work, Pace()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writing: list[Future[None]] = []
        self._opened = time.monotonic()
        self._from: dict[int, _Run] = {}
        self._to: dict[int, _Run] = {}

    def add(self, piece: Piece) -> None:
        """The next piece."""
        run = self._to.pop(piece.start, None) or _Run()
        run.append([piece])
        if following := self._from.pop(piece.stop, None):
            run.append(following.pieces)
        self._from[run.start] = self._to[run.stop] = run
        if self._pace.is_over(self._opened):
            self._close_all()
        elif run.rows >= PART_ROWS:
            self._close(run)

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None or not self._failed():
                self._close_all()
            self._finish(wait_only=kind is not None)
        finally:
            self._pool.shutdown()

    def _close_all(self) -> None:
        for run in sorted(self._from.values(), key=lambda run: run.start):
            self._close(run)

    def _close(self, run: _Run) -> None:
        del self._from[run.start], self._to[run.stop]
        if not self._from:
            self._opened = time.monotonic()
        whole = one_piece(run.pieces)
        if len(self._writing) > 1:
            self._writing.pop(0).result()  # an error of the disk ends the build here; else never more than two wait
        self._writing.append(self._pool.submit(self._work.add, whole.part, whole.columns))

    def _failed(self) -> bool:
        return any(one.done() and one.exception() is not None for one in self._writing)

    def _finish(self, wait_only: bool) -> None:
        for one in self._writing:
            error = one.exception()
            if error is not None and not wait_only:
                raise error


@dataclass
class _Run:
    """Neighbouring pieces in their order, not written yet."""

    pieces: list[Piece] = field(default_factory=list)
    rows: int = 0

    @property
    def start(self) -> int:
        return self.pieces[0].start

    @property
    def stop(self) -> int:
        return self.pieces[-1].stop

    def append(self, pieces: Sequence[Piece]) -> None:
        self.pieces += pieces
        self.rows += sum(piece.rows for piece in pieces)
