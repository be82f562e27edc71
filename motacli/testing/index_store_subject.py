"""What the checks of an index store look at: vectors in groups, as features of pictures are, and stores of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from motacli.console import NullProgress
from motacli.search.rescoring import best_of
from motacli.search.vectors import Vectors

ROWS, WIDTH, QUERIES, K = 1500, 32, 24, 10
GROUPS = 50
TWINS = (3, 700, 1100)
"""Rows that hold the same vector."""
ZERO = 11
"""A row without any length."""
Found = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class IndexStoreSubject:
    """A store's class with options for it, the least recall that will do, and a folder for its files."""

    kind: Any
    given: Any
    recall: float
    tolerance: float
    folder: Path
    _used: list[Path] = field(default_factory=list)

    @cached_property
    def options(self) -> Any:
        """What the store is built with."""
        return self.kind.Options() if self.given is None else self.given

    @cached_property
    def vectors(self) -> Vectors:
        """Those that most checks are about, float32."""
        return self.some(ROWS, "float32")

    def some(self, rows: int, dtype: str, seed: int = 0) -> Vectors:
        """Vectors in a folder of their own; of no particular length."""
        folder = self._new("vectors")
        folder.mkdir()
        values = grouped(rows, seed) * np.random.default_rng(seed + 1).uniform(5, 15, (rows, 1)).astype(np.float32)
        if rows > max(TWINS):
            values[list(TWINS)], values[ZERO] = values[TWINS[0]], 0
        return Vectors.write(folder, [values], rows, WIDTH, dtype)

    @cached_property
    def queries(self) -> np.ndarray:
        """Unit vectors ``(QUERIES, WIDTH)``: a stored one, others near stored ones."""
        rng = np.random.default_rng(5)
        near = self.vectors.units(rng.choice(np.arange(20, ROWS), QUERIES, replace=False))
        asked = near + 0.05 * rng.normal(size=near.shape)
        asked[0] = near[0]
        return np.asarray(asked / np.linalg.norm(asked, axis=1, keepdims=True), dtype=np.float32)

    def build(self, vectors: Vectors | None = None, progress: Any = None) -> Path:
        """Build a store, in an empty folder."""
        folder = self._new("store")
        folder.mkdir()
        self.kind.build(folder, vectors or self.vectors, self.options, progress or NullProgress())
        return folder

    @contextmanager
    def opened(self, folder: Path | None = None, vectors: Vectors | None = None) -> Iterator[Any]:
        """The store in a folder, by default the first that was built, closed in the end."""
        store = self.kind.open(folder or self.built, vectors or self.vectors, self.options)
        try:
            yield store
        finally:
            store.close()

    @cached_property
    def built(self) -> Path:
        """The folder of a store of `vectors`."""
        return self.build()

    @cached_property
    def answer(self) -> Found:
        """What it finds for `queries`."""
        with self.opened() as store:
            return checked_types(store.search(self.queries, K))

    def missed(self, found: np.ndarray, allowed: np.ndarray | None = None) -> str:
        """Words about too low a recall, where these rows ``(Q, K)`` are what was found."""
        rows = np.arange(ROWS) if allowed is None else np.flatnonzero(allowed)
        hits = [
            len(set(best_of(self.vectors, query, rows, K)[0]) & set(mine))
            for query, mine in zip(self.queries, found.tolist(), strict=True)
        ]
        recall = sum(hits) / (QUERIES * min(K, len(rows)))
        return "" if recall >= self.recall else f"finds {recall:.0%} of the best {K}, less than {self.recall:.0%}"

    def _new(self, name: str) -> Path:
        self._used.append(self.folder / f"{name}-{len(self._used)}")
        return self._used[-1]


def grouped(rows: int, seed: int = 0) -> np.ndarray:
    """Unit vectors ``(rows, WIDTH)`` around a few centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(GROUPS, WIDTH))
    values = centres[rng.integers(0, GROUPS, rows)] + 0.5 * rng.normal(size=(rows, WIDTH))
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), dtype=np.float32)


def checked_types(found: Any) -> Found:
    """What a search gave, if it is two arrays; `TypeError` otherwise."""
    if not isinstance(found, tuple) or len(found) != 2 or not all(isinstance(each, np.ndarray) for each in found):
        raise TypeError(f"search gives {type(found).__name__}, not rows and scores as arrays")
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def open_files(folder: Path) -> list[str]:
    """Files below a folder that this process has open; none on systems that do not tell."""
    found, top = [], str(folder.resolve())
    for number in Path("/proc/self/fd").glob("*"):
        try:
            target = os.readlink(number)
        except OSError:  # it was closed meanwhile
            continue
        if target.startswith(top):
            found.append(Path(target.removesuffix(" (deleted)")).name)
    return found
