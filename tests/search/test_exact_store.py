"""The exact store finds what `top_k` finds, to the last bit, in every way that it multiplies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motacli.config import parse_options
from motacli.errors import UsageError
from motacli.retrieval import top_k
from motacli.search import products as ways
from motacli.search.candidates import Candidates
from motacli.search.exact import ExactOptions, ExactStore
from motacli.search.products import products
from motacli.search.rescoring import exact_scores
from motacli.search.vectors import Vectors

Found = tuple[np.ndarray, np.ndarray]
WIDTH = 48
KERNEL = pytest.param("kernel", marks=pytest.mark.skipif(not find_spec("numba"), reason="Numba is not installed"))
WAYS = ["float32", "converted", "half", KERNEL]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to multiply, whatever the size."""
    monkeypatch.setattr(ways, "KERNEL_NUMBERS", 0 if request.param == "kernel" else 10**12)
    if request.param == "converted":
        monkeypatch.setattr(ways, "_fits_in_half", lambda norms: False)
    return str(request.param)


def vectors(folder: Path, values: np.ndarray, way: str = "half") -> Vectors:
    dtype = "float32" if way == "float32" else "float16"
    return Vectors.write(folder, [values], *values.shape, dtype)


def values(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(rows, WIDTH)) * rng.uniform(0.5, 30, (rows, 1))
    return made.astype(np.float32)


def units(rows: int, seed: int = 1) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype(np.float32)
    unit: np.ndarray = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def store(of: Vectors, threads: int = 2) -> ExactStore:
    return ExactStore.open(Path(), of, ExactOptions(threads))


def assert_found(
    found: tuple[np.ndarray, np.ndarray], of: Vectors, asked: np.ndarray, k: int, rows: np.ndarray
) -> None:
    """What was found are the best of ``rows``."""
    best, scores = top_k(asked, of.units(rows), min(k, len(rows))) if len(rows) else (np.zeros((len(asked), 0)),) * 2
    there = best.shape[1]
    assert np.array_equal(found[0][:, :there], rows[best.astype(int)]) and np.array_equal(found[1][:, :there], scores)
    assert (found[0][:, there:] == -1).all() and (found[1][:, there:] == -np.inf).all()


@pytest.mark.parametrize("asked", [1, 5, 40])
@pytest.mark.parametrize("share", [None, 0.5, 0.05, 0.0])
def test_the_best_rows_in_order(way: str, asked: int, share: float | None, tmp_path: Path) -> None:
    of, queries = vectors(tmp_path, values(3000), way), units(asked)
    allowed = None if share is None else np.random.default_rng(2).random(3000) < share
    rows = np.arange(3000) if allowed is None else np.flatnonzero(allowed)
    assert_found(store(of).search(queries, 20, allowed), of, queries, 20, rows)


def test_equal_rows_come_in_their_order(way: str, tmp_path: Path) -> None:
    given = values(3000)
    given[5:2000:5] = given[3]
    of = vectors(tmp_path, given, way)
    queries = of.units(np.array([3]))
    found = store(of).search(queries, 30)
    assert found[0][0].tolist() == [3, *range(5, 150, 5)]
    assert_found(found, of, queries, 30, np.arange(3000))


def test_rows_that_are_odd(way: str, tmp_path: Path) -> None:
    """Zeros, numbers below the normal ones of half precision, and lengths that differ by a factor of a million."""
    given = values(500)
    given[7] = 0
    given[8] = 3e-7
    given[9] *= 1e-3
    given[10] = given[11] * (3e4 / np.abs(given[11]).max())
    of, queries = vectors(tmp_path, given, way), units(3)
    for number in range(3):
        asked = queries[[number]]
        assert_found(store(of).search(asked, 500), of, asked, 500, np.arange(500))


@pytest.mark.parametrize(("rows", "k"), [(1, 1), (3, 20), (20, 20)])
def test_small_indexes(way: str, rows: int, k: int, tmp_path: Path) -> None:
    of, queries = vectors(tmp_path, values(rows), way), units(2)
    assert_found(store(of).search(queries, k), of, queries, min(k, rows), np.arange(rows))


def test_rough_scores_err_within_their_margin(way: str, tmp_path: Path) -> None:
    of, queries = vectors(tmp_path, values(2000), way), units(1)
    rough = products(queries, of)
    found = rough.score(torch.from_numpy(np.array(of.stored[:1000])), of.norms[:1000])
    error = np.abs(found[0] - exact_scores(of, queries[0], np.arange(1000)))
    assert 0 < error.max() < rough.margin < 2e-3


def test_searches_in_threads(way: str, tmp_path: Path) -> None:
    of, queries = vectors(tmp_path, values(3000), way), units(16)
    one, found = store(of, threads=3), [None] * 16

    def ask(number: int) -> None:
        found[number] = one.search(queries[[number]], 5)[0].tolist()  # type: ignore[call-overload]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each[0] for each in found if each] == one.search(queries, 5)[0].tolist()


def test_candidates_are_few_and_complete() -> None:
    """A pass over many rows keeps little more than it has to, and never loses one within the slack."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 50_000)).astype(np.float32)
    kept = Candidates(3, 10, 0.01)
    for start in range(0, 50_000, 1000):
        kept.add(slice(start, start + 1000), scores[:, start : start + 1000])
    for mine, all_scores in zip(kept.rows(), scores, strict=True):
        kth = np.sort(all_scores)[-10]
        assert set(np.flatnonzero(all_scores >= kth - 0.01)) == set(mine) and len(mine) < 20


def test_candidates_that_are_no_numbers() -> None:
    scores = np.full((2, 50), np.nan, dtype=np.float32)
    scores[0, 40:], scores[1, 7] = np.arange(10), 1
    kept = Candidates(2, 3, 0.01)
    kept.add(slice(100, 150), scores)
    assert [sorted(mine.tolist()) for mine in kept.rows()] == [[147, 148, 149], [107]]


@pytest.mark.parametrize(("given", "said"), [({"threads": -1}, "must not be negative"), ({"thread": 1}, "'threads'")])
def test_mistaken_options(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_options(ExactOptions, given, "options of index store 'exact'")


def test_the_kernel_is_only_for_many_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Numba, and with few rows, torch multiplies."""
    of, asked = vectors(tmp_path, values(100)), units(1)
    made: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        return lambda *given: made.append(name)

    for name in ("_by_kernel", "_in_half"):
        monkeypatch.setattr(ways, name, noted(name))
    monkeypatch.setattr(ways, "has_kernel", lambda: True)
    products(asked, of)
    monkeypatch.setattr(ways, "KERNEL_NUMBERS", 1000)
    products(asked, of)
    monkeypatch.setattr(ways, "has_kernel", lambda: False)
    products(asked, of)
    assert made == ["_in_half", "_by_kernel", "_in_half"]
