"""Rows to features, in the same way whoever does it: this process, or workers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

import torch

from motacli.autocast import Autocast, autocasting
from motacli.cache.asking import CacheOptions, Decode
from motacli.cache.batching import Batch, Span, batches
from motacli.cache.columns import Values
from motacli.cache.computed import of_threads
from motacli.cache.decoders import DECODERS, LASTING_DECODERS
from motacli.cache.decoding import Decoded, Decoder, Row
from motacli.cache.parts import as_stored
from motacli.cache.pieces import Piece
from motacli.compiling import compiled, require_image_encoder
from motacli.console import NullProgress, Progress
from motacli.contracts import Backbone
from motacli.encoding import PREFETCHED_BATCHES, encode_pixels, encode_texts


class Rows(Protocol):
    """Where pictures come from: a `motacli.cache.listing.Listing`, or a copy of some of its rows."""

    def refs(self, start: int, stop: int) -> Iterable[Row]:
        """The pictures of some rows of the source, with their captions."""


class Captions(Protocol):
    """Where captions come from: the parts of the pictures, or a copy of some of theirs."""

    def between(self, start: int, stop: int) -> Sequence[str]:
        """Those of some rows of the cache."""


class Encodes(Protocol):
    """What a build asks for its features; the pieces may come in any order."""

    @property
    def computed(self) -> Mapping[str, str]:
        """What the options do not tell of how it computes, for the record: see `motacli.cache.computed`."""

    def pictures(self, rows: Rows, spans: Sequence[Span], progress: Progress) -> Generator[Piece, None, None]:
        """The source's rows in spans that begin where a batch does; `DataError` for a broken one where that counts."""

    def captions(self, texts: Captions, spans: Sequence[Span], progress: Progress) -> Generator[Piece, None, None]:
        """The cache's rows, windows of captions."""


@dataclass(frozen=True)
class Recipe:
    """How rows are encoded: all that has to be known besides the backbone. The fields are those of `CacheOptions`."""

    batch_size: int
    workers: int
    has_captions: bool
    dtype: str = "float32"
    strict: bool = True
    decode: Decode = "threads"
    autocast: Autocast = "off"
    compile: bool = False

    @classmethod
    def of(cls, options: CacheOptions, batch_size: int, workers: int, has_captions: bool, dtype: str) -> Recipe:
        """What the options say of it, for a file of that number type."""
        how = (options.strict, options.decode, options.autocast, options.compile)
        return cls(batch_size, workers, has_captions, dtype, *how)


Engine = Callable[[Backbone, Recipe], Encodes]
"""Who encodes: called before anything is begun, with the backbone that the cache is to be of; raises `UsageError`."""


def in_this_process(backbone: Backbone, recipe: Recipe, *, lasting: bool = False) -> Encoder:
    """The engine that needs nothing else; `UsageError` for what does not work here.

    One that is ``lasting`` is made to be asked many times.
    """
    decoders = LASTING_DECODERS if lasting else DECODERS
    computing = compiled(backbone, "encode_image") if recipe.compile else backbone
    computing = autocasting(computing, recipe.autocast)
    if recipe.compile:
        require_image_encoder(computing)
    return Encoder(computing, recipe, decoders[recipe.decode](backbone, recipe.workers))


@dataclass(frozen=True)
class Encoder:
    """A backbone, a decoder of pictures and the recipe: `Encodes`, in the order of the rows."""

    backbone: Backbone
    recipe: Recipe
    decoder: Decoder

    @property
    def computed(self) -> Mapping[str, str]:
        """Its threads."""
        return of_threads(self.backbone.device, torch.get_num_threads())

    def pictures(
        self, rows: Rows, spans: Sequence[Span], progress: Progress | None = None
    ) -> Generator[Piece, None, None]:
        """A piece per batch."""
        progress, total = progress or NullProgress(), sum(stop - start for start, stop in spans)
        refs = chain.from_iterable(rows.refs(*span) for span in spans)
        with closing(self.decoder(refs, PREFETCHED_BATCHES * self.recipe.batch_size)) as decoded:
            tracked = progress.track(decoded, "encoding pictures", total)
            for start, stop in spans:
                found = self._accepted(islice(tracked, stop - start))
                yield from map(self._piece, batches(found, start, self.recipe.batch_size))

    def captions(
        self, texts: Captions, spans: Sequence[Span], progress: Progress | None = None
    ) -> Generator[Piece, None, None]:
        """A piece per window."""
        for start, stop in (progress or NullProgress()).track(spans, "encoding captions"):
            captions = list(texts.between(start, stop))
            features = as_stored(encode_texts(self.backbone, captions, self.recipe.batch_size), self.recipe.dtype)
            yield Piece("texts", start, stop, {"text_features": features}, captions=captions)

    def _accepted(self, rows: Iterable[Decoded]) -> Iterator[Decoded]:
        for row in rows:
            if row.error is not None and self.recipe.strict:
                raise row.error
            yield row

    def _piece(self, batch: Batch) -> Piece:
        columns: dict[str, Values] = {}
        if batch.good:
            columns["ids"] = [row.ref.id for row in batch.good]
            if self.recipe.has_captions:
                columns["captions"] = [row.caption or "" for row in batch.good]
            pixels = [row.pixels for row in batch.good if row.pixels is not None]
            columns["features"] = as_stored(encode_pixels(self.backbone, pixels), self.recipe.dtype)
        return Piece("images", batch.start, batch.stop, columns, [row.broken for row in batch.broken])
