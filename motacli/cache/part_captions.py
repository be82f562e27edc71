"""The captions of a build, as its parts have them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

from motacli.cache.parts import Part
from motacli.cache.work import Work

_KEPT = 64
"""Parts whose captions stay in memory: windows share them, and several workers are at several parts."""


class PartCaptions:
    """The captions of the cache's rows, in the parts of its pictures; may be pickled, as long as these are there."""

    def __init__(self, work: Work, images: Sequence[Part]) -> None:
        self._work, self._images = work, images
        self._stops = list(accumulate(part.rows for part in images))
        self._captions = lru_cache(_KEPT)(self._read)

    def between(self, start: int, stop: int) -> list[str]:
        """Those of some rows of the cache; `DataError` where a part is damaged."""
        found: list[str] = []
        number = bisect_right(self._stops, start)
        while len(found) < stop - start:
            first = self._stops[number] - self._images[number].rows
            found += self._captions(number)[max(start - first, 0) : stop - first]
            number += 1
        return found

    def _read(self, number: int) -> list[str]:
        """Those of a part, none where none of its pictures could be read."""
        part = self._images[number]
        return [str(text) for text in self._work.read(part)["captions"]] if part.rows else []

    def __reduce__(self) -> Any:
        return PartCaptions, (self._work, self._images)
