"""What the server does for its requests: searches, and whatever has to do with pictures. Called in threads."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from motacli.errors import DataError, MotaError, UsageError
from motacli.search.entries import Entry
from motacli.search.index import Index
from motacli.search.results import SearchResults
from motacli.search.searcher import Searcher
from motacli.serve.decoding import Decoders, Small
from motacli.serve.files import PictureFile, open_picture
from motacli.serve.problems import Refused
from motacli.serve.settings import Settings
from motacli.serve.uploads import Upload, Uploads

T = TypeVar("T")
SIDE = 320
"""The longer side of thumbnails, in pixels."""
KEPT_BYTES = 64 * 10**6
EXAMPLES = 12


@dataclass(frozen=True)
class Question:
    """A search as it was asked. ``images`` are files that came with it, ``uploads`` names of earlier ones."""

    images: Sequence[bytes] = field(default=(), repr=False)
    uploads: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)


class Service:
    """A searcher, its decoders, and what is kept between requests: uploads and thumbnails, both bounded."""

    def __init__(self, searcher: Searcher, settings: Settings) -> None:
        self._searcher = searcher
        self._decoders = Decoders(settings)
        self._uploads = Uploads(settings.kept_uploads)
        self._thumbnails = Thumbnails(KEPT_BYTES)
        self._searches = ThreadPoolExecutor(settings.searches, "mota-search")
        self._pictures = ThreadPoolExecutor(settings.decoders, "mota-picture")

    # ------------------------------------------------------------------------------------ for coroutines

    async def searching(self, work: Callable[[], T]) -> T:
        """Do some work in a thread that is there for searches."""
        return await asyncio.get_running_loop().run_in_executor(self._searches, work)

    async def with_pictures(self, work: Callable[[], T]) -> T:
        """Do some work in a thread that is there for pictures: no more of them are in memory at once."""
        return await asyncio.get_running_loop().run_in_executor(self._pictures, work)

    # ------------------------------------------------------------------------------------ in threads

    def search(self, question: Question, features: Sequence[np.ndarray]) -> SearchResults:
        """The answer, where ``features`` are those of the question's pictures; `UsageError` says what is wrong."""
        try:
            return self._searcher.search(list(features), **question.options)
        except UsageError as error:
            raise Refused(422, self._without_paths(error.message), self._without_paths(error.hint)) from None

    def features(self, question: Question) -> list[np.ndarray]:
        """Features of the pictures that came with a question, and of those sent before."""
        fingerprint = self._searcher.index.config.fingerprint
        known = [self._uploads.get(name, fingerprint).feature for name in question.uploads]
        return [*(self._encoded(data) for data in question.images), *known]

    def keep(self, data: bytes) -> tuple[str, Small]:
        """Encode a picture and keep what is needed of it, under a name."""
        fingerprint = self._searcher.index.config.fingerprint
        feature = self._encoded(data)
        with self._decoders.one() as decoder:
            small = decoder.thumbnail(data, SIDE)
        return self._uploads.add(Upload(feature, fingerprint, small)), small

    def kept(self, name: str) -> Small:
        """The thumbnail of a picture that is kept."""
        return self._uploads.get(name).small

    def picture(self, id: str) -> PictureFile:
        """The file of a picture of the index; `Refused` for everything else."""
        return self._asked(lambda index: open_picture(index.picture(_entry(index, id))))

    def shown(self, file: PictureFile) -> bytes:
        """A picture that browsers do not show, as WebP and not larger than a screen."""
        with self._decoders.one() as decoder:
            return decoder.thumbnail(file.read(), 2048).data

    def thumbnail(self, id: str) -> tuple[bytes, str]:
        """A WebP file of a picture of the index, and a tag that changes with the picture."""
        entry, stored = self._asked(lambda index: (_entry(index, id), _stored(index, id)))
        tag = f'"{entry.digest[:32]}"'
        if stored is not None:
            return stored.read(), tag
        if (found := self._thumbnails.get(tag)) is None:
            data = self.picture(id).read()
            with self._decoders.one() as decoder:
                found = decoder.thumbnail(data, SIDE).data
            self._thumbnails.put(tag, found)
        return found, tag

    def index(self) -> Index:
        """The index as it is now."""
        return self._searcher.index

    def examples(self) -> list[str]:
        """Ids of some pictures from all over the index, to begin with."""

        def some(index: Index) -> list[str]:
            rows = sorted({round(row) for row in np.linspace(0, len(index.entries) - 1, EXAMPLES)})
            return [entry.id for entry in index.entries.get(rows)] if len(index.entries) else []

        return self._asked(some)

    def start(self) -> None:
        """Have everything ready for the first request."""
        self._decoders.start()

    def refresh(self) -> bool:
        """Go over to a newer state of the index, if there is one."""
        return self._searcher.reload_if_stale()

    def close(self) -> None:
        """End the decoders and wait for what is under way."""
        self._searches.shutdown(cancel_futures=True)
        self._pictures.shutdown(cancel_futures=True)
        self._decoders.close()

    def _encoded(self, data: bytes) -> np.ndarray:
        if not data:
            raise Refused(422, "the picture is empty", "choose another file")
        with self._decoders.one() as decoder:
            return self._searcher.encode(decoder.pixels(data))

    def _asked(self, question: Callable[[Index], T]) -> T:
        """Ask the index, again where an update closed it meanwhile; without a word about where it is."""
        index = self._searcher.index
        try:
            return question(index)
        except MotaError as error:
            if self._searcher.index is not index:
                return question(self._searcher.index)
            if isinstance(error, DataError):
                raise Refused(404, "that picture is not in its folder any more", "update the index") from error
            raise

    def _without_paths(self, text: str) -> str:
        index = self._searcher.index
        return text.replace(str(index.path), index.path.name).replace(index.config.folder, "the folder")


class Thumbnails:
    """The thumbnails that were asked for last, up to so many bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, tag: str) -> bytes | None:
        """The one of that tag, if it is kept."""
        with self._lock:
            if tag in self._kept:
                self._kept.move_to_end(tag)
            return self._kept.get(tag)

    def put(self, tag: str, data: bytes) -> None:
        """Keep one, dropping what was used longest ago."""
        with self._lock:
            self._bytes += len(data) - len(self._kept.pop(tag, b""))
            self._kept[tag] = data
            while self._bytes > self._most:
                self._bytes -= len(self._kept.popitem(last=False)[1])


def _entry(index: Index, id: str) -> Entry:
    found = index.entries.find(id)
    if found is None:
        raise Refused(404, "there is no such picture in the index")
    return found


def _stored(index: Index, id: str) -> PictureFile | None:
    path = index.thumbnail(_entry(index, id))
    return None if path is None else open_picture(path)
