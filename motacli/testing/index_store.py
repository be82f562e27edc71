"""`check_index_store`: whether a store keeps `motacli.contracts.IndexStore`."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from motacli.console import NullProgress
from motacli.search.rescoring import exact_scores
from motacli.search.vectors import Vectors
from motacli.testing.checks import Checks, lacking, name_of, named, wrong_options
from motacli.testing.findings import Report
from motacli.testing.index_store_subject import (
    QUERIES,
    ROWS,
    Found,
    IndexStoreSubject,
    K,
    checked_types,
    contents,
    open_files,
)

checks = Checks[IndexStoreSubject]()
SEARCH, BUILD, OPEN = "IndexStore.search", "IndexStore.build", "IndexStore.open"


def check_index_store(store: Any, *, options: Any = None, recall: float = 0.9, tolerance: float = 0.01) -> Report:
    """Check a store's class, by building some small ones with ``options`` (default: its own defaults) and asking them.

    ``recall`` is the least share of the best ten that will do, on average over some queries; ``tolerance`` is how far a
    score may be from a cosine.

    Raises `ContractError` with every line that is broken.
    """
    with tempfile.TemporaryDirectory() as folder:
        subject = IndexStoreSubject(store, options, recall, tolerance, Path(folder).resolve())
        return checks.run(f"index store {name_of(store)}", subject)


@checks.add("IndexStore", "its class has a name, Options, build, open, search and close", vital=True)
def members(subject: IndexStoreSubject) -> Iterator[str]:
    """What the protocol names is there."""
    yield from lacking(subject.kind, "build open search close")
    yield from named(subject.kind)
    yield from wrong_options(getattr(subject.kind, "Options", None))


@checks.add(BUILD, "it writes below the folder it is given, and nowhere near it", vital=True)
def build(subject: IndexStoreSubject) -> Iterator[str]:
    """One is built; the vectors beside it stay as they are."""
    before = contents(subject.folder) if subject.vectors else {}
    made = subject.built.name
    after = {name: data for name, data in contents(subject.folder).items() if not name.startswith(made)}
    if changed := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        yield f"outside of it {', '.join(changed)} changed"


@checks.add(SEARCH, "rows (Q, K) int64 and scores (Q, K) float32", vital=True)
def search(subject: IndexStoreSubject) -> Iterator[str]:
    """Shapes and number types."""
    rows, scores = subject.answer
    for name, value, dtype in (("rows", rows, np.int64), ("scores", scores, np.float32)):
        if value.shape != (QUERIES, K) or value.dtype != dtype:
            yield f"{name} are {value.shape} {value.dtype}, not {(QUERIES, K)} {np.dtype(dtype)}"


@checks.add(SEARCH, "best first, none twice; where fewer are found, row -1 and score -inf at the end", vital=True)
def order(subject: IndexStoreSubject) -> Iterator[str]:
    """What holds for any answer."""
    yield from _disorder(subject.answer, ROWS)


@checks.add(SEARCH, "scores are cosines, exact or nearly so")
def scores(subject: IndexStoreSubject) -> Iterator[str]:
    """Each score against the exact one; the rows are of any length, one of none."""
    yield from _other_scores(subject, subject.answer, subject.vectors)


@checks.add(SEARCH, "the best rows are found, but for a few that an approximate store may miss")
def recall(subject: IndexStoreSubject) -> Iterator[str]:
    """Against all rows scored exactly."""
    if words := subject.missed(subject.answer[0]):
        yield words


@checks.add(SEARCH, "a query gets the same answer alone and in a batch")
def batches(subject: IndexStoreSubject) -> Iterator[str]:
    """One at a time, and none at all."""
    with subject.opened() as store:
        alone = [checked_types(store.search(subject.queries[[number]], K)) for number in range(QUERIES)]
        if others := sum(not _same(one, _row(subject.answer, number)) for number, one in enumerate(alone)):
            yield f"{others} of {QUERIES} queries get another answer alone"
        shapes = [value.shape for value in checked_types(store.search(subject.queries[:0], K))]
        if shapes != [(0, K)] * 2:
            yield f"for no query it gives shapes {shapes}"


@checks.add(SEARCH, "K = min(k, N)")
def counts(subject: IndexStoreSubject) -> Iterator[str]:
    """One row, more than there are, and something between."""
    with subject.opened() as store:
        for k in (1, 300, ROWS + 5):
            rows, scores = checked_types(store.search(subject.queries[:2], k))
            if rows.shape != (2, min(k, ROWS)) or scores.shape != rows.shape:
                yield f"for k = {k} of {ROWS} rows it gives {rows.shape} and {scores.shape}"
            else:
                yield from _disorder((rows, scores), ROWS)


@checks.add(SEARCH, "only rows that are allowed are given")
def masks(subject: IndexStoreSubject) -> Iterator[str]:
    """Half of the rows, a few, fewer than are asked for, and none."""
    with subject.opened() as store:
        for share in (0.5, 0.05, 0.003, 0):
            allowed = np.random.default_rng(9).random(ROWS) < share
            count = int(np.count_nonzero(allowed))
            found = checked_types(store.search(subject.queries, K, allowed))
            rows = found[0]
            if rows.shape != (QUERIES, K):
                yield f"with {count} rows allowed it gives shape {rows.shape}"
                continue
            if wrong := int(np.count_nonzero(~allowed[rows[rows >= 0]])):
                yield f"with {count} rows allowed {wrong} others are given"
            elif words := count and subject.missed(rows, allowed):
                yield f"with {count} rows allowed it {words}"
            yield from _disorder(found, ROWS)


@checks.add(SEARCH, "what it is given is left as it is")
def inputs(subject: IndexStoreSubject) -> Iterator[str]:
    """Queries and the rows allowed, which may not even be writable."""
    queries, allowed = subject.queries.copy(), np.arange(ROWS) % 2 == 0
    with subject.opened() as store:
        store.search(queries, K, allowed)
        if not np.array_equal(queries, subject.queries) or not np.array_equal(allowed, np.arange(ROWS) % 2 == 0):
            yield "it writes to queries or to the rows allowed"
        queries.flags.writeable = allowed.flags.writeable = False
        store.search(queries, K, allowed)


@checks.add("IndexStore", "it may be asked from several threads at once")
def threads(subject: IndexStoreSubject) -> Iterator[str]:
    """Each thread gets the answer to its own question, with a filter or without."""
    masked = [None, np.arange(ROWS) % 2 == 0]
    tasks = [(number, masked[number % 2]) for number in range(QUERIES)] * 4
    with subject.opened() as store, ThreadPoolExecutor(8) as pool:

        def ask(task: tuple[int, np.ndarray | None]) -> Found:
            number, allowed = task
            return checked_types(store.search(subject.queries[[number]], K, allowed))

        alone = [ask(task) for task in tasks[:QUERIES]] * 4
        together = list(pool.map(ask, tasks))
    if others := sum(not _same(*pair) for pair in zip(alone, together, strict=True)):
        yield f"of {len(tasks)} searches in threads {others} get another answer than alone"


@checks.add(OPEN, "the folder may have been moved since")
def moved(subject: IndexStoreSubject) -> Iterator[str]:
    """The folder is renamed and lies deeper than before."""
    built = subject.build()
    new = built.with_name("moved") / "deeper"
    new.parent.mkdir()
    built.rename(new)
    with subject.opened(new) as store:
        if not _similar(checked_types(store.search(subject.queries, K)), subject.answer):
            yield "it gives another answer there"


@checks.add("Vectors", "features may be in half precision")
def half(subject: IndexStoreSubject) -> Iterator[str]:
    """Scores and recall with rows that are stored as float16."""
    vectors = subject.some(ROWS, "float16")
    with subject.opened(subject.build(vectors), vectors) as store:
        found = checked_types(store.search(subject.queries, K))
    yield from _other_scores(subject, found, vectors)
    if words := subject.missed(found[0]):
        yield words


@checks.add(BUILD, "an index may be small")
def small(subject: IndexStoreSubject) -> Iterator[str]:
    """One row, and a handful."""
    for rows in (1, 7):
        vectors = subject.some(rows, "float16")
        with subject.opened(subject.build(vectors), vectors) as store:
            found, scores = checked_types(store.search(subject.queries, K))
        if found.shape != (QUERIES, rows) or scores.shape != found.shape:
            yield f"of {rows} rows it gives shape {found.shape}"
        elif sorted(found[0].tolist()) != list(range(rows)):
            yield f"of {rows} rows it does not give all"


@checks.add(BUILD, "what it wrote for another index, or one that came to nothing, does not disturb one in use")
def undisturbed(subject: IndexStoreSubject) -> Iterator[str]:
    """Another is built beside an open one, then one whose vectors cannot be read to their end."""
    other = subject.some(ROWS, "float32", seed=1)
    with subject.opened() as store:
        folder = subject.build(other)
        if not _same(checked_types(store.search(subject.queries, K)), subject.answer):
            yield "the first store gives another answer once a second was built"
        with subject.opened(folder, other) as second:
            yield from _other_scores(subject, checked_types(second.search(subject.queries, K)), other)
        with suppress(Exception):  # whatever is raised: what counts is what is left
            subject.build(_broken(other), _Breaking())
        if not _same(checked_types(store.search(subject.queries, K)), subject.answer):
            yield "the first store gives another answer once a build came to nothing"
    with subject.opened() as store:
        if not _same(checked_types(store.search(subject.queries, K)), subject.answer):
            yield "opened again after that, it gives another answer"


@checks.add("IndexStore.close", "it lets go of files, connections and threads, and may be called again")
def close(subject: IndexStoreSubject) -> Iterator[str]:
    """Nothing below the folder is open afterwards, and no thread goes on that would keep a process alive."""
    folder, before = subject.build(), set(threading.enumerate())
    store = subject.kind.open(folder, subject.vectors, subject.options)
    store.search(subject.queries, K)
    store.close()
    store.close()
    if left := open_files(folder):
        yield f"{', '.join(left)} is still open"
    if alive := [one.name for one in set(threading.enumerate()) - before if not one.daemon]:
        yield f"thread {', '.join(sorted(alive))} goes on"
    with subject.opened(folder) as again:
        if not _similar(checked_types(again.search(subject.queries, K)), subject.answer):
            yield "opened again it gives another answer"


# ---------------------------------------------------------------------------------------------- what is compared


def _disorder(found: Found, rows: int) -> Iterator[str]:
    numbers, scores = found
    there = numbers >= 0
    if np.any((numbers < -1) | (numbers >= rows)):
        yield f"rows are from {numbers.min()} to {numbers.max()}, of {rows}"
    if np.isnan(scores).any():
        yield "scores are not numbers"
    if np.any(there[:, 1:] & ~there[:, :-1]) or np.any(there == (scores == -np.inf)):
        yield "what is not found is not row -1 with score -inf at the end"
    if np.any(scores[:, 1:] > scores[:, :-1]):
        yield "rows are not in the order of their scores"
    if any(len(set(one[one >= 0])) < np.count_nonzero(one >= 0) for one in numbers):
        yield "a row is given twice"


def _other_scores(subject: IndexStoreSubject, found: Found, vectors: Vectors) -> Iterator[str]:
    furthest = 0.0
    for query, rows, scores in zip(subject.queries, *found, strict=True):
        there = rows >= 0
        off = np.abs(scores[there] - exact_scores(vectors, query, rows[there]))
        furthest = max(furthest, float(off.max(initial=0)))
    if not furthest <= subject.tolerance:
        yield f"a score is {furthest:.2g} from the cosine"


def _same(one: Found, other: Found) -> bool:
    # Rounding may swap rows that score the same, such as equal ones.
    return one[0].shape == other[0].shape and np.allclose(one[1], other[1], rtol=0, atol=1e-5)


def _similar(one: Found, other: Found) -> bool:
    """For another build: a graph that is built anew may miss other rows."""
    return one[0].shape == other[0].shape and float(np.mean(one[0] == other[0])) > 0.8


def _row(found: Found, number: int) -> Found:
    return found[0][[number]], found[1][[number]]


class _Unreadable(Exception):
    """What breaks a build."""


class _Breaking(NullProgress):
    """Gives one item, and no more."""

    def track(self, items: Any, description: Any = "", total: int | None = None) -> Iterator[Any]:
        for item in items:
            yield item
            raise _Unreadable("the disk was pulled out")


def _broken(vectors: Vectors) -> Vectors:
    """Vectors whose blocks end in an error."""

    class Broken(Vectors):
        def blocks(self, size: int = 1) -> Iterator[tuple[int, np.ndarray]]:
            yield from ((start, units) for start, units in super().blocks(size) if start == 0)
            raise _Unreadable("the disk was pulled out")

    return Broken(vectors.stored, vectors.norms)
