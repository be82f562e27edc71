"""The vectors that searches are measured on, made once for all processes of a case."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motacli.bench.picture_features import WIDTH, blocks, queries
from motacli.runs import partial_path
from motacli.search.vectors import Vectors


@dataclass(frozen=True, eq=False)
class SearchInputs:
    """Vectors in half precision, mapped from ``folder``, and unit vectors ``(Q, 768)`` to ask."""

    folder: Path
    vectors: Vectors
    queries: np.ndarray

    def remove(self) -> None:
        """Delete the files; what is mapped stays readable."""
        shutil.rmtree(self.folder, ignore_errors=True)


def search_inputs(name: str, rows: int, asked: int, seed: int) -> SearchInputs:
    """As many rows and queries, from files that an earlier process of the same case may have left."""
    folder = Path(tempfile.gettempdir()) / f"mota-bench-{name}-{rows}-{seed}"
    if not folder.exists():
        partial = partial_path(folder)
        partial.mkdir(parents=True)
        Vectors.write(partial, blocks(rows, seed), rows, WIDTH, "float16")
        partial.rename(folder)
    return SearchInputs(folder, Vectors.open(folder), queries(asked, seed))
