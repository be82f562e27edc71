"""The faiss store's graph, beside the exact store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motacli.bench.harness import Work
from motacli.bench.picture_features import WIDTH
from motacli.bench.search_inputs import SearchInputs, search_inputs
from motacli.console import NullProgress
from motacli.contracts import IndexStore
from motacli.errors import MotaError
from motacli.runs import partial_path
from motacli.search.exact import ExactOptions, ExactStore
from motacli.search.faiss_store import FaissOptions, FaissStore

K = 10
QUERIES = 200
LEAST_RECALL = 0.98


@dataclass(frozen=True)
class GraphCase:
    """Some queries, one after the other, as users ask them. The graph is built once and takes minutes."""

    name: str
    rows: int

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows and queries."""
        return {"rows": self.rows, "queries": QUERIES, "width": WIDTH}

    @property
    def counted(self) -> tuple[str, int]:
        """Queries per second."""
        return "queries", QUERIES

    def inputs(self, seed: int) -> SearchInputs:
        """Features, and the graph beside them."""
        inputs = search_inputs(self.name, self.rows, QUERIES, seed)
        built = inputs.folder / "graph"
        if not built.exists():
            partial = partial_path(built)
            partial.mkdir()
            FaissStore.build(partial, inputs.vectors, FaissOptions(), NullProgress())
            partial.rename(built)
        return inputs

    def ours(self, inputs: SearchInputs) -> Work:
        """The graph."""
        return _one_by_one(FaissStore.open(inputs.folder / "graph", inputs.vectors, FaissOptions()), inputs.queries)

    def baseline(self, inputs: SearchInputs) -> Work:
        """All rows."""
        return _one_by_one(ExactStore.open(Path(), inputs.vectors, ExactOptions()), inputs.queries)

    def compared(self, ours: np.ndarray, baseline: np.ndarray) -> Mapping[str, float]:
        """How many of the best ten the graph finds."""
        hits = sum(len(set(one) & set(other)) for one, other in zip(ours.tolist(), baseline.tolist(), strict=True))
        return {"recall_at_10": hits / baseline.size}

    def check(self, inputs: SearchInputs, ours: np.ndarray, baseline: np.ndarray) -> int:
        """The graph may miss a few."""
        recall = self.compared(ours, baseline)["recall_at_10"]
        if recall < LEAST_RECALL:
            raise MotaError(f"{self.name}: recall@10 is {recall:.4f}, less than {LEAST_RECALL}")
        inputs.remove()
        return 0


def _one_by_one(store: IndexStore, queries: np.ndarray) -> Work:
    def search() -> np.ndarray:
        return np.concatenate([store.search(queries[[number]], K)[0] for number in range(len(queries))])

    search()
    return search
