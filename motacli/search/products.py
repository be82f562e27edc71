"""Scores of stored rows, as fast as memory gives them, and how far they may be from exact ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motacli.search.vectors import Vectors
from motacli.similarity import rounding_margin

KERNEL_QUERIES = 6
"""Up to so many queries at once a pass by `motacli.search.half_kernel` is faster than converting and multiplying."""
KERNEL_NUMBERS = 20_000_000
"""With fewer numbers than that, starting Numba takes longer than a few searches do."""
MOST_IN_HALF = 2.0**14
LEAST_IN_HALF = 2.0**-5
"""Lengths of rows between which a product in half precision neither overflows nor loses its digits."""
HALF_ROUNDING = 2.0**-11 + 2.0**-19
"""By how much a score can change when a product is written in half precision."""

Score = Callable[[Tensor, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Products:
    """A way to multiply some queries ``(Q, d)`` with stored rows, best given to it ``rows`` at a time.

    ``score(stored, norms)``, rows ``(n, d)`` as they are stored and their lengths ``(n,)``, gives cosines ``(Q, n)``
    float32, none of which is further than ``margin`` from the exact one. Where ``parallel``, calls from several threads
    at once are how it is made faster; otherwise it has threads of its own, and can only be called from one.
    """

    score: Score
    margin: float
    rows: int
    parallel: bool = False


def products(queries: np.ndarray, vectors: Vectors) -> Products:
    """The fastest way for so many queries, float32 of about unit length, and such rows."""
    if vectors.stored.dtype != np.float16:
        return Products(_in_single(queries), _margin(queries), 8192)
    if len(queries) <= KERNEL_QUERIES and vectors.stored.size >= KERNEL_NUMBERS and has_kernel():
        return Products(_by_kernel(queries), _margin(queries), 32768, parallel=True)
    if len(queries) == 1 and _fits_in_half(vectors.norms):
        return Products(_in_half(queries), _margin(queries) + _half_margin(queries), 16384)
    return Products(_converted(queries, 1024), _margin(queries), 1024)


@cache
def has_kernel() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


def _by_kernel(queries: np.ndarray) -> Score:
    """In one pass, without copies."""
    from motacli.search.half_kernel import SCALE, cosines

    asked = np.ascontiguousarray(queries, dtype=np.float32) * SCALE

    def score(stored: Tensor, norms: np.ndarray) -> np.ndarray:
        scores = np.empty((len(asked), len(norms)), dtype=np.float32)
        cosines(stored.view(torch.int16).numpy(), norms, asked, scores)
        return scores

    return score


def _in_half(queries: np.ndarray) -> Score:
    """Half by half: torch adds up in float32, but gives half precision."""
    asked = torch.from_numpy(queries[0].astype(np.float16))

    def score(stored: Tensor, norms: np.ndarray) -> np.ndarray:
        return _divided(torch.mv(stored, asked).numpy().astype(np.float32)[None], norms)

    return score


def _converted(queries: np.ndarray, most: int) -> Score:
    """Rows are converted to float32, few enough for them to stay near the processor."""
    asked, memory = _tensor(queries), torch.empty((most, queries.shape[1]))

    def score(stored: Tensor, norms: np.ndarray) -> np.ndarray:
        rows = memory[: len(stored)].copy_(stored)
        return _multiplied(rows, asked, norms)

    return score


def _in_single(queries: np.ndarray) -> Score:
    asked = _tensor(queries)
    return lambda stored, norms: _multiplied(stored, asked, norms)


def _tensor(queries: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(queries, dtype=np.float32, order="C"))


def _fits_in_half(norms: np.ndarray) -> bool:
    lengths: Any = norms[norms > 0]
    return bool(lengths.size) and bool(lengths.max() < MOST_IN_HALF and lengths.min() > LEAST_IN_HALF)


def _margin(queries: np.ndarray) -> float:
    # Twice, as both the product and the division by a length are rounded.
    return 2 * rounding_margin(queries) * max(float(np.linalg.norm(queries, axis=1).max()), 1)


def _half_margin(queries: np.ndarray) -> float:
    lost = queries - queries.astype(np.float16).astype(np.float32)
    return HALF_ROUNDING + float(np.linalg.norm(lost, axis=1).max())


def _multiplied(rows: Tensor, queries: Tensor, norms: np.ndarray) -> np.ndarray:
    """The long side first: the other way round takes up to half as long again."""
    return _divided((rows @ queries.T).numpy().T, norms)


def _divided(scores: np.ndarray, norms: np.ndarray) -> np.ndarray:
    scores /= np.where(norms > 0, norms, 1)
    return scores
