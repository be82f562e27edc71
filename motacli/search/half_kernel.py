"""Dot products of half-precision rows in one pass over them, compiled by Numba where that is installed.

The bits of a half-precision number, moved to where a float32 has them, are that number times 2**-112: queries are
multiplied by 2**112 beforehand, and nothing else has to be converted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit

from motacli.search.prefetching import prefetch

Kernel = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]
SCALE = np.float32(2.0**112)
_TILE = 64
"""Rows that are multiplied with every query before the next ones, few enough to stay in the first caches."""
_BITS = np.int32(-0x70000001)
"""All bits but those three that hold nothing once the sign has been spread over them."""
_MOVE = np.int32(13)
_AHEAD = 4
"""Rows between the one that is read and the one that is fetched, which processors do not foresee across pages."""
_LINE = 32
"""Numbers of half precision in a cache line, on most processors."""


def _cosines(rows: Any, norms: Any, queries: Any, scores: Any) -> None:
    for start in range(0, rows.shape[0], _TILE):
        for number in range(queries.shape[0]):
            query = queries[number]
            for row in range(start, min(start + _TILE, rows.shape[0])):
                if number == 0 and row + _AHEAD < rows.shape[0]:
                    for column in range(0, rows.shape[1], _LINE):
                        prefetch(rows, row + _AHEAD, column)
                total = np.float32(0)
                for column in range(rows.shape[1]):
                    bits = np.int32((np.int32(rows[row, column]) << _MOVE) & _BITS)
                    total += bits.view(np.float32) * query[column]
                scores[number, row] = total / norms[row] if norms[row] > 0 else np.float32(0)


def _compiled() -> Kernel:
    jit: Any = njit
    try:
        compiled = jit(nogil=True, fastmath=True, cache=True)(_cosines)
    except RuntimeError:  # there is no folder where what was compiled could be kept for the next process
        compiled = jit(nogil=True, fastmath=True)(_cosines)
    return cast(Kernel, compiled)


cosines = _compiled()
"""``(rows, norms, queries, scores)``: the bits of rows ``(n, d)`` int16 and their lengths ``(n,)``, queries ``(Q, d)``
float32 times `SCALE`, and where the cosines ``(Q, n)`` float32 go. Other threads can work meanwhile."""
