"""What a build does for its rows: pictures to parts of features, then captions to parts of text features.

Batches are runs of pictures that can be read, in the order of the source, and a part ends where a batch does. So every
batch, and with it every bit of the features, is the same however often the build was interrupted. Captions are batched
by length; prepared pictures all have one size, so there is nothing to gain from sorting them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise

import numpy as np

from motacli.cache.columns import Values, joined
from motacli.cache.decoding import Decoded, Decoder
from motacli.cache.listing import Listing
from motacli.cache.manifest import replace_manifest, uncovered
from motacli.cache.parts import Broken, Part, as_stored, captions_digest
from motacli.cache.work import MANIFEST, Work
from motacli.console import Progress
from motacli.contracts import Backbone
from motacli.encoding import PREFETCHED_BATCHES, encode_pixels, encode_texts

PART_ROWS = 4096
TEXT_BATCHES = 16
"""Batches of captions in a window: texts of like length are found among that many."""


@dataclass(frozen=True)
class Pace:
    """When a part is closed: at `PART_ROWS`, or after a second, and later after a hundredth of the time so far."""

    begun: float = field(default_factory=time.monotonic)

    def is_over(self, rows: int, opened: float) -> bool:
        """Whether a part of so many rows, opened at that time, is to be closed."""
        now = time.monotonic()
        return rows >= PART_ROWS or now - opened > min(60.0, 1.0 + (now - self.begun) / 100)


@dataclass(frozen=True)
class Encoding:
    """How the rows of one build are encoded."""

    work: Work
    backbone: Backbone
    batch_size: int
    decoder: Decoder
    strict: bool
    progress: Progress

    def encode_pictures(self, listing: Listing) -> None:
        """Encode the pictures that no finished part covers."""
        gaps = uncovered(self.work.parts(), "images", listing.start, listing.stop)
        left = sum(stop - start for start, stop in gaps)
        if left < len(listing):
            self.progress.log(f"going on after {len(listing) - left} of {len(listing)} pictures")
        refs = chain.from_iterable(listing.refs(*gap) for gap in gaps)
        rows = self.decoder(refs, PREFETCHED_BATCHES * self.batch_size)
        with closing(rows), _Writer(self.work) as writer:
            for start, stop in gaps:
                writer.begin(start, stop)
                for row in self.progress.track(islice(rows, stop - start), "encoding pictures", stop - start):
                    self._take(writer, row)
                self._encode(writer)
                writer.close_part(stop)

    def encode_captions(self) -> None:
        """Encode the captions that no finished part covers; all pictures are encoded by now."""
        images = [part for part in self.work.parts() if part.kind == "images"]
        total = sum(part.rows for part in images)
        self._drop_texts_of_others(images, total)
        gaps = uncovered(self.work.parts(), "texts", 0, total)
        windows = [edge for gap in gaps for edge in _windows(*gap, TEXT_BATCHES * self.batch_size)]
        for start, stop in self.progress.track(windows, "encoding captions"):
            captions = captions_between(self.work, images, start, stop)
            features = as_stored(encode_texts(self.backbone, list(captions), self.batch_size), self.work.plan.dtype)
            part = Part("texts", start, stop, stop - start, captions=captions_digest(captions))
            self.work.add(part, {"text_features": features})

    def _drop_texts_of_others(self, images: list[Part], total: int) -> None:
        """Text features belong to captions: those of rows that were encoded anew since may have got other ones."""
        parts = self.work.parts()
        kept = [part for part in parts if part.kind == "images" or self._is_current(part, images, total)]
        if len(kept) < len(parts):
            replace_manifest(self.work.folder / MANIFEST, kept)

    def _is_current(self, part: Part, images: list[Part], total: int) -> bool:
        if part.stop > total:
            return False
        return captions_digest(captions_between(self.work, images, part.start, part.stop)) == part.captions

    def _take(self, writer: _Writer, row: Decoded) -> None:
        if row.error is not None and self.strict:
            raise row.error
        writer.take(row)
        if len(writer.waiting) == self.batch_size:
            self._encode(writer)

    def _encode(self, writer: _Writer) -> None:
        if writer.waiting:
            pixels = [row.pixels for row in writer.waiting if row.pixels is not None]
            writer.encoded(as_stored(encode_pixels(self.backbone, pixels), self.work.plan.dtype))


class _Writer:
    """Collects encoded batches and hands them, a part at a time, to a thread that writes: encoding never waits for it.

    Left by an exception it still writes the batches that were encoded.
    """

    def __init__(self, work: Work) -> None:
        self._work, self._pace = work, Pace()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writing: list[Future[None]] = []
        self.begin(0, 0)

    def begin(self, start: int, stop: int) -> None:
        """What comes next are the rows from ``start`` on."""
        self._start = self._read = self._encoded = start
        self.waiting: list[Decoded] = []
        self._broken_ahead: list[Broken] = []
        self._open()

    def take(self, row: Decoded) -> None:
        """The next row of the source."""
        self._read += 1
        if row.error is None:
            self.waiting.append(row)
        else:
            self._broken_ahead.append(row.broken)

    def encoded(self, features: np.ndarray) -> None:
        """The features ``(B, d)`` of the rows that are waiting."""
        self._batches.append(([(row.ref.id, row.caption or "") for row in self.waiting], features))
        self._rows += len(features)
        self._broken += self._broken_ahead
        self.waiting, self._broken_ahead, self._encoded = [], [], self._read
        if self._pace.is_over(self._rows, self._opened):
            self._close()

    def close_part(self, stop: int) -> None:
        """All rows up to ``stop`` are read and encoded."""
        self._broken += self._broken_ahead
        self._broken_ahead, self._encoded = [], stop
        self._close()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None and not self._failed():
                self._close()
            self._finish(wait_only=kind is not None)
        finally:
            self._pool.shutdown()

    def _open(self) -> None:
        self._batches: list[tuple[list[tuple[str, str]], np.ndarray]] = []
        self._broken: list[Broken] = []
        self._rows, self._opened = 0, time.monotonic()

    def _close(self) -> None:
        if self._encoded == self._start:
            return
        part = Part("images", self._start, self._encoded, self._rows, broken=tuple(self._broken))
        columns = self._columns()
        if len(self._writing) > 1:
            self._writing.pop(0).result()  # an error of the disk ends the build here; else never more than two wait
        self._writing.append(self._pool.submit(self._work.add, part, columns))
        self._start = self._encoded
        self._open()

    def _columns(self) -> dict[str, Values]:
        if not self._rows:
            return {}
        rows = [row for batch, _ in self._batches for row in batch]
        captions = {"captions": [caption for _, caption in rows]} if self._work.plan.captions else {}
        features = joined([features for _, features in self._batches])
        return {"ids": [id for id, _ in rows], **captions, "features": features}

    def _failed(self) -> bool:
        return any(one.done() and one.exception() is not None for one in self._writing)

    def _finish(self, wait_only: bool) -> None:
        for one in self._writing:
            error = one.exception()
            if error is not None and not wait_only:
                raise error


def captions_between(work: Work, images: list[Part], start: int, stop: int) -> list[str]:
    """The captions of some rows of the cache, from the parts of its pictures."""
    found: list[str] = []
    first = 0
    for part in images:
        if part.rows and first < stop and first + part.rows > start:
            captions = work.read(part)["captions"]
            found += [str(text) for text in captions[max(start - first, 0) : stop - first]]
        first += part.rows
    return found


def _windows(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    return pairwise([*range(start, stop, size), stop])
