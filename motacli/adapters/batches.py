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
