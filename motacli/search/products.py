"""Scores of stored rows, as fast as memory gives them, and how far they may be from exact ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motacli.search.vectors import Vectors
from motacli.similarity import rounding_margin

HALF_QUERIES = 1
"""Up to so many queries at once, half-precision rows are multiplied as they are; more pay for converting them."""
MOST_IN_HALF = 2.0**14
LEAST_IN_HALF = 2.0**-5
"""Lengths of rows between which a product in half precision neither overflows nor loses its digits."""
HALF_ROUNDING = 2.0**-11 + 2.0**-19
"""By how much a score can change when a product is written in half precision."""


@dataclass(frozen=True, eq=False)
class Products:
    """Multiplies queries ``(Q, d)``, float32 of about unit length, with stored rows.

    ``score(stored, norms)``, rows ``(n, d)`` as they are stored and their lengths ``(n,)``, gives cosines ``(Q, n)``
    float32, none of which is further than ``margin`` from the exact one.
    """

    score: Callable[[Tensor, np.ndarray], np.ndarray]
    margin: float


def products(queries: np.ndarray, vectors: Vectors) -> Products:
    """The fastest way for so many queries and such rows."""
    if vectors.stored.dtype == np.float16 and len(queries) <= HALF_QUERIES and _fits_in_half(vectors.norms):
        return _in_half(queries)
    return _in_single(queries)


def _fits_in_half(norms: np.ndarray) -> bool:
    lengths = norms[norms > 0]
    return bool(lengths.size) and MOST_IN_HALF > lengths.max() and lengths.min() > LEAST_IN_HALF


def _in_half(queries: np.ndarray) -> Products:
    """Half by half, added up in float32, so that a row is read once and never written."""
    asked = torch.from_numpy(queries.astype(np.float16))
    lost = np.linalg.norm(queries - asked.numpy().astype(np.float32), axis=1).max()

    def score(stored: Tensor, norms: np.ndarray) -> np.ndarray:
        return np.stack([_divided(torch.mv(stored, one).numpy().astype(np.float32), norms) for one in asked])

    return Products(score, _margin(queries) + HALF_ROUNDING + float(lost))


def _in_single(queries: np.ndarray) -> Products:
    """Rows are converted to float32, few enough for them to stay near the processor."""
    asked = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32))

    def score(stored: Tensor, norms: np.ndarray) -> np.ndarray:
        return _divided((asked @ stored.float().T).numpy(), norms)

    return Products(score, _margin(queries))


def _margin(queries: np.ndarray) -> float:
    # Twice, as both the product and the division by a length are rounded.
    return 2 * rounding_margin(queries) * max(float(np.linalg.norm(queries, axis=1).max()), 1)


def _divided(scores: np.ndarray, norms: np.ndarray) -> np.ndarray:
    scores /= np.where(norms > 0, norms, 1)
    return scores
