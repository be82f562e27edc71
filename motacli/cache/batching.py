"""What is encoded together: the rule by which every build of a source computes the same bits.

The source's rows are cut into windows. A batch of pictures is a run of those that can be read, and crosses no window's
edge; captions are batched by length, among those of the pictures of one window. So a window's features depend on the
window alone: not on broken pictures elsewhere, nor on who encoded what else before, after or at the same time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from motacli.cache.decoding import Decoded

WINDOW_BATCHES = 16
"""Batches in a window: texts of like length are found among that many."""

Span = tuple[int, int]
"""A first row, and the one after the last."""


def window_rows(batch_size: int) -> int:
    """The rows of the source in a window."""
    return WINDOW_BATCHES * batch_size


@dataclass(frozen=True)
class Batch:
    """Rows ``start`` to ``stop`` of the source: those to be encoded together, and those that could not be read."""

    start: int
    stop: int
    good: Sequence[Decoded]
    broken: Sequence[Decoded]


def batches(rows: Iterable[Decoded], start: int, batch_size: int) -> Iterator[Batch]:
    """The batches of rows of the source from ``start`` on, which is where one begins."""
    window, at = window_rows(batch_size), start
    good: list[Decoded] = []
    broken: list[Decoded] = []
    for row in rows:
        at += 1
        (good if row.error is None else broken).append(row)
        if len(good) == batch_size or at % window == 0:
            yield Batch(start, at, good, broken)
            start, good, broken = at, [], []
    if start < at:
        yield Batch(start, at, good, broken)


def windows(spans: Iterable[Span], size: int) -> Iterator[Span]:
    """Spans of the source's rows, cut at the edges of windows of ``size`` rows."""
    for start, stop in spans:
        yield from pairwise([start, *range(start + size - start % size, stop, size), stop])


def text_windows(span: Span, size: int, broken: Sequence[int], gaps: Iterable[Span]) -> Iterator[Span]:
    """Gaps between rows of a cache, cut where a window of the source ends.

    ``span`` are the source's rows that the cache is made of, ``broken`` those of them, in order, that it lacks.
    """
    edges = [stop - span[0] - bisect_left(broken, stop) for _, stop in windows([span], size)]
    for start, stop in gaps:
        inner = edges[bisect_right(edges, start) : bisect_left(edges, stop)]
        yield from pairwise(dict.fromkeys([start, *inner, stop]))
