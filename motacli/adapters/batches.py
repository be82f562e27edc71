"""Which triplets make up each step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def row_order(seed: int, *part: int) -> np.random.Generator:
    """Where the order of rows comes from; of a part of them, where parts have orders of their own."""
    return np.random.default_rng([seed, 7, *part])


def shuffled_batches(rows: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches of row numbers for ever, pass after pass over all of them in a new order."""
    size, order = min(size, rows), np.empty(0, dtype=np.intp)
    while True:
        if len(order) < size:
            order = np.concatenate([order, rng.permutation(rows)])
        yield order[:size]
        order = order[size:]


def bucketed(
    batches: Iterator[np.ndarray], lengths: np.ndarray, bucket: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """The same rows, but those of ``bucket`` batches at a time are sorted by ``lengths`` ``(N,)`` before they are cut.

    Little of a batch is padding then; the batches themselves come in random order. [ours]
    """
    while True:
        drawn = [next(batches) for _ in range(bucket)]
        rows = np.concatenate(drawn)
        parts = np.split(rows[np.argsort(lengths[rows], kind="stable")], np.cumsum([len(each) for each in drawn])[:-1])
        for place in rng.permutation(bucket):
            yield parts[place]
