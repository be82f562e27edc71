"""The exact store, beside a plain read of the same bytes and beside the bare products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from motacli.bench.harness import Work
from motacli.bench.picture_features import WIDTH
from motacli.bench.search_inputs import SearchInputs, search_inputs
from motacli.errors import MotaError
from motacli.retrieval import top_k
from motacli.search.exact import ExactOptions, ExactStore, as_tensor

K = 20
_TILE = 1024
"""Rows that stay in a processor's cache."""


@dataclass(frozen=True)
class ScanCase:
    """One search for some queries together; the baseline adds up the bytes of all rows, with as many threads."""

    name: str
    rows: int
    queries: int

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows, queries, and megabytes of the rows."""
        megabytes = self.rows * WIDTH * 2 // 10**6
        return {"rows": self.rows, "queries": self.queries, "width": WIDTH, "megabytes": megabytes}

    def figures(self, seconds: float, baseline_seconds: float) -> Mapping[str, float]:
        """How much of memory's own speed is left, and that speed."""
        return {
            "share_of_memory": baseline_seconds / seconds,
            "read_gb_per_second": self.rows * WIDTH * 2 / 1e9 / baseline_seconds,
        }

    def inputs(self, seed: int) -> SearchInputs:
        """Features."""
        return search_inputs("scan", self.rows, self.queries, seed)

    def ours(self, inputs: SearchInputs) -> Work:
        """The store's answer, from files that have been read before."""
        store = ExactStore.open(Path(), inputs.vectors, ExactOptions())
        store.search(inputs.queries, K)
        return lambda: store.search(inputs.queries, K)

    def baseline(self, inputs: SearchInputs) -> Work:
        """Bytes are taken four at a time, which is the fastest of the ways we tried."""
        words = as_tensor(inputs.vectors.stored).view(torch.float32)
        words.sum()
        return words.sum

    def check(self, inputs: SearchInputs, ours: tuple[np.ndarray, np.ndarray], baseline: object) -> int:
        """The answer is that of `top_k`, a block of rows at a time."""
        rows, scores = _merged(inputs)
        if not np.array_equal(ours[0], rows) or not np.array_equal(ours[1], scores):
            raise MotaError(f"{self.name}: the store does not find what comparing all rows does")
        inputs.remove()
        return 0


@dataclass(frozen=True)
class ProductsCase(ScanCase):
    """The same search; the baseline only multiplies, over and over the same rows, in float32 and in cache."""

    def figures(self, seconds: float, baseline_seconds: float) -> Mapping[str, float]:
        """How much of the processor's own speed is left, and that speed."""
        return {
            "share_of_products": baseline_seconds / seconds,
            "products_gflops": 2 * self.queries * self.rows * WIDTH / 1e9 / baseline_seconds,
        }

    def baseline(self, inputs: SearchInputs) -> Work:
        """As many products as there are rows, rounded up to whole tiles."""
        tile = as_tensor(inputs.vectors.stored)[:_TILE].float()
        asked = torch.from_numpy(inputs.queries)
        scores = torch.empty(len(asked), len(tile))

        def multiply() -> None:
            for _ in range(-(-self.rows // len(tile))):
                torch.mm(asked, tile.T, out=scores)

        multiply()
        return multiply


def _merged(inputs: SearchInputs) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for start, units in inputs.vectors.blocks(65536):
        rows, scores = top_k(inputs.queries, units, K)
        found.append((rows + start, scores))
    rows, scores = (np.concatenate(each, axis=1) for each in zip(*found, strict=True))
    order = np.lexsort((rows, -scores), axis=1)[:, :K]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
