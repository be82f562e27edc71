"""The galleries of benchmarks in an index store, for as long as an evaluation asks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from motacli.console import Progress
from motacli.contracts import IndexStore
from motacli.plugins import PluginHost
from motacli.search.states import forget_store
from motacli.search.stores import STORE, StoreChoice
from motacli.search.vectors import Vectors


@dataclass(frozen=True)
class Galleries:
    """Puts one gallery after the other into a store: features in a temporary folder, rows where the store has them."""

    choice: StoreChoice
    host: PluginHost
    progress: Progress

    @contextmanager
    def holding(self, gallery: np.ndarray) -> Iterator[IndexStore]:
        """A store of unit vectors ``(G, d)``, float32, rows as there; it is removed in the end, with what it wrote."""
        with TemporaryDirectory(prefix="mota-gallery-") as name:
            folder = Path(name) / STORE
            folder.mkdir()
            vectors = Vectors.write(folder.parent, [gallery], len(gallery), gallery.shape[1], "float32")
            try:
                self.choice.build(folder, vectors, self.host, self.progress)
                with closing(self.choice.open(folder, vectors, self.host)) as store:
                    yield store
            finally:
                forget_store(folder, self.choice, self.host, self.progress)
