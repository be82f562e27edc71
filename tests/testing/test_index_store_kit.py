"""Each check of `check_index_store` finds a store that breaks just its line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from wrong import Wrong, assert_that_line, breaches

from motacli.search.vectors import Vectors
from motacli.testing import check_index_store
from motacli.testing.index_store import checks

Found = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class SomeOptions:
    size: int = 1


class Right:
    """A store that is right: its own copy of the unit vectors, all compared."""

    name = "right"
    Options: ClassVar[Any] = SomeOptions

    def __init__(self, folder: Path, units: np.ndarray) -> None:
        self.folder, self.units = folder, units

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: Any, progress: Any) -> None:
        units = [units for _, units in progress.track(vectors.blocks(500))]
        np.save(folder / "units.npy", np.concatenate(units))

    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: Any) -> Self:
        return cls(folder, np.load(folder / "units.npy"))

    def scores(self, queries: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        # One by one, so that the sums are the same whatever the batch.
        scores = np.stack([self.units @ one for one in queries]) if len(queries) else np.zeros((0, len(self.units)))
        return scores if allowed is None else np.where(allowed, scores, -np.inf)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Any:
        scores = self.scores(queries, allowed)
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(scores, rows, 1).astype(np.float32)
        return np.where(best > -np.inf, rows, -1), best

    def close(self) -> None: ...


class Nameless(Right):
    name = ""


class Optionless(Right):
    Options = None


class Littering(Right):
    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: Any, progress: Any) -> None:
        super().build(folder, vectors, options, progress)
        (folder.parent / "log.txt").write_text("built")


class ListGiving(Right):
    def search(self, *asked: Any) -> Any:
        return list(super().search(*asked))


class Narrow(Right):
    def search(self, *asked: Any) -> Any:
        rows, scores = super().search(*asked)
        return rows.astype(np.int32), scores


class WorstFirst(Right):
    def search(self, *asked: Any) -> Any:
        rows, scores = super().search(*asked)
        return rows[:, ::-1], scores[:, ::-1]


class Repeating(Right):
    def search(self, *asked: Any) -> Any:
        rows, scores = super().search(*asked)
        rows[:, 1:2], scores[:, 1:2] = rows[:, :1], scores[:, :1]
        return rows, scores


class Scoring(Right):
    """Gives a score where there is no row."""

    def search(self, *asked: Any) -> Any:
        rows, scores = super().search(*asked)
        return rows, np.where(rows < 0, np.float32(-1), scores)


class Distances(Right):
    def search(self, *asked: Any) -> Any:
        rows, scores = super().search(*asked)
        return rows, np.where(rows < 0, scores, 2 * scores - 2).astype(np.float32)


class Forgetful(Right):
    def scores(self, queries: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        return super().scores(queries, np.arange(len(self.units)) % 4 > 0 if len(self.units) > 7 else allowed)


class Mixing(Right):
    """Scores a batch against its mean."""

    def scores(self, queries: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        return super().scores(queries + (1e-3 * queries.mean(axis=0) if len(queries) > 1 else 0), allowed)


class NeverEmpty(Right):
    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Any:
        return super().search(queries if len(queries) else np.ones((1, self.units.shape[1])), k, allowed)


class Padding(Right):
    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Any:
        rows, scores = super().search(queries, k, allowed)
        if k < 1000:
            return rows, scores
        more = ((0, 0), (0, k - rows.shape[1]))
        return np.pad(rows, more, constant_values=-1), np.pad(scores, more, constant_values=-np.inf)


class Unfiltered(Right):
    def scores(self, queries: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        return super().scores(queries, None)


class FilteredAfterwards(Right):
    """Takes the best and leaves out of these what is not allowed."""

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Any:
        rows, scores = super().search(queries, k)
        if allowed is not None:
            wrong = ~allowed[rows]
            rows[wrong], scores[wrong] = -1, -np.inf
            order = np.argsort(-scores, axis=1, kind="stable")
            rows, scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
        return rows, scores


class Writing(Right):
    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Any:
        if queries.flags.writeable and allowed is not None and len(queries) > 1:
            allowed[:] = True
        return super().search(queries, k, allowed)


class InPlace(Right):
    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Any:
        if allowed is not None and not queries.flags.writeable:
            queries /= 1
        return super().search(queries, k, allowed)


class Shared(Right):
    """Keeps the question where another thread finds it."""

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Any:
        self.asked = queries, allowed
        if len(queries) == 1 and threading.current_thread() is not threading.main_thread():
            threading.Event().wait(0.002)
        return super().search(self.asked[0], k, self.asked[1])


class Rooted(Right):
    """Writes down where it was built."""

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: Any, progress: Any) -> None:
        super().build(folder, vectors, options, progress)
        (folder / "place").write_text(str(folder))

    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: Any) -> Self:
        return super().open(Path((folder / "place").read_text()), vectors, options)


class SingleOnly(Right):
    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: Any) -> Self:
        store = super().open(folder, vectors, options)
        if len(vectors) > 7:
            store.units = vectors.stored.view(np.float32)[: len(vectors)] / np.maximum(vectors.norms, 1e-9)[:, None]
        return store


class Large(Right):
    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: Any, progress: Any) -> None:
        if len(vectors) < 100:
            raise ValueError("number of training points (1) should be at least as large as number of clusters (100)")
        super().build(folder, vectors, options, progress)


class OnePlace(Right):
    """All its indexes are one collection of one server."""

    server: ClassVar[dict[str, np.ndarray]] = {}

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: Any, progress: Any) -> None:
        super().build(folder, vectors, options, progress)
        if len(vectors) > 100 and vectors.stored.dtype == np.float32:
            cls.server["rows"] = np.load(folder / "units.npy")

    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: Any) -> Self:
        return super().open(folder, vectors, options)

    def scores(self, queries: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        if len(self.units) > 100 and len(queries) == 24 and allowed is None:
            self.units = self.server.get("rows", self.units)
        return super().scores(queries, allowed)


class Emptying(Right):
    """Empties its collection before it fills it again, and a build that fails leaves it empty."""

    server: ClassVar[dict[str, float]] = {"factor": 1.0}

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: Any, progress: Any) -> None:
        cls.server["factor"] = 0.0
        super().build(folder, vectors, options, progress)
        cls.server["factor"] = 1.0

    def scores(self, queries: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        return super().scores(queries, allowed) * self.server["factor"]


class Leaking(Right):
    held: ClassVar[list[Any]] = []

    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: Any) -> Self:
        cls.held.append((folder / "units.npy").open("rb"))
        return super().open(folder, vectors, options)


class Lingering(Right):
    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: Any) -> Self:
        threading.Thread(target=lambda: threading.Event().wait(0.5), name="watcher").start()
        return super().open(folder, vectors, options)


class Once(Right):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("not open")
        self.closed = True


WRONG = (
    Wrong("members", Nameless, "name is '', not text"),
    Wrong("members", Optionless, "Options is None"),
    Wrong("build", Littering, "outside of it log.txt changed"),
    Wrong("search", ListGiving, "search gives list, not rows and scores as arrays"),
    Wrong("search", Narrow, "rows are (24, 10) int32, not (24, 10) int64"),
    Wrong("order", WorstFirst, "rows are not in the order of their scores"),
    Wrong("order", Repeating, "a row is given twice"),
    Wrong("masks", Scoring, "what is not found is not row -1 with score -inf at the end"),
    Wrong("batches", Mixing, "24 of 24 queries get another answer alone"),
    Wrong("batches", NeverEmpty, "for no query it gives shapes [(1, 10), (1, 10)]"),
    Wrong("counts", Padding, "for k = 1505 of 1500 rows it gives (2, 1505)"),
    Wrong("masks", Unfiltered, "others are given"),
    Wrong("masks", FilteredAfterwards, "less than 90%"),
    Wrong("inputs", Writing, "it writes to queries or to the rows allowed"),
    Wrong("inputs", InPlace, "raises ValueError: output array is read-only"),
    Wrong("threads", Shared, "get another answer than alone"),
    Wrong("moved", Rooted, "raises FileNotFoundError"),
    Wrong("half", SingleOnly, "raises ValueError: matmul"),
    Wrong("small", Large, "raises ValueError: number of training points"),
    Wrong("undisturbed", OnePlace, "the first store gives another answer once a second was built"),
    Wrong("undisturbed", Emptying, "the first store gives another answer once a build came to nothing"),
    Wrong("close", Leaking, "units.npy is still open"),
    Wrong("close", Lingering, "thread watcher goes on"),
    Wrong("close", Once, "raises RuntimeError: not open"),
)
SEVERAL: dict[str, tuple[Callable[..., Any], str]] = {
    "scores": (Distances, "from the cosine"),
    "recall": (Forgetful, "finds 7"),
}
"""What breaks one line, and with it every check that looks at an answer."""


def test_a_right_store_passes_all() -> None:
    assert check_index_store(Right, recall=1.0).passed == tuple(checks.all)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.make.__name__)
def test_a_wrong_store_is_found_out(wrong: Wrong) -> None:
    assert_that_line(breaches(lambda: check_index_store(wrong.make)), wrong, checks.all[wrong.check].line)


@pytest.mark.parametrize("check", SEVERAL)
def test_a_store_that_is_wrong_everywhere_is_found_out(check: str) -> None:
    store, said = SEVERAL[check]
    found = {breach.check: breach.problem for breach in breaches(lambda: check_index_store(store)).breaches}
    assert said in found[check]


def test_every_check_can_fail() -> None:
    assert {wrong.check for wrong in WRONG} | set(SEVERAL) == set(checks.all)


def test_options_and_limits_are_the_callers() -> None:
    class Sized(Right):
        @classmethod
        def build(cls, folder: Path, vectors: Vectors, options: Any, progress: Any) -> None:
            assert options == SomeOptions(3)
            super().build(folder, vectors, options, progress)

    check_index_store(Sized, options=SomeOptions(3))
