"""A store's candidates become the exact ranking, whatever the store's scores are like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from motacli.retrieval import SPARE, top_k
from motacli.search.ranking import best_rows, exact_units
from motacli.search.vectors import Vectors


class Store:
    """Scores every row, with an error of at most ``error``; ``asked`` says for how many rows each call was."""

    name = "stub"

    def __init__(self, vectors: Vectors, error: float = 0.0, missed: tuple[int, ...] = ()) -> None:
        self.vectors, self.error, self.missed = vectors, error, missed
        self.asked: list[int] = []

    def search(self, queries: np.ndarray, k: int, allowed: Any = None) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(k)
        scores = self.vectors.units(slice(None)) @ queries[0]
        scores += self.error * np.sin(np.arange(len(scores)) * 7.0)
        found = np.setdiff1d(np.arange(len(scores)) if allowed is None else np.flatnonzero(allowed), self.missed)
        order = found[np.lexsort((-found, -scores[found]))][:k]  # its ties are the wrong way round
        rows, best = np.full((1, k), -1), np.full((1, k), -np.inf, dtype=np.float32)
        rows[0, : len(order)], best[0, : len(order)] = order, scores[order]
        return rows, best


def vectors(stored: np.ndarray) -> Vectors:
    return Vectors(stored, np.linalg.norm(stored.astype(np.float32), axis=1).astype(np.float32))


def random_case(seed: int, count: int = 400, width: int = 24) -> tuple[Vectors, np.ndarray]:
    rng = np.random.default_rng(seed)
    query = rng.normal(size=width).astype(np.float32)
    return vectors(rng.normal(size=(count, width)).astype(np.float32) * 9), query / np.linalg.norm(query)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("error", [0.0, 1e-7])
def test_the_ranking_is_that_of_top_k(seed: int, error: float) -> None:
    known, query = random_case(seed)
    rows, scores = best_rows(Store(known, error), known, query, 10)
    wanted, best = top_k(query[None], exact_units(known, np.arange(len(known))), 10)
    assert rows.tolist() == wanted[0].tolist()
    assert scores == pytest.approx(best[0], abs=1e-7)


def test_more_ties_than_are_asked_for_go_to_the_first_rows() -> None:
    stored = np.tile(np.array([[3.0, 4.0]], np.float32), (900, 1))
    store = Store(vectors(stored))
    rows, scores = best_rows(store, store.vectors, np.array([0.6, 0.8], np.float32), 5)
    assert rows.tolist() == [0, 1, 2, 3, 4] and len(set(scores)) == 1
    assert store.asked[0] == 5 + SPARE and store.asked[-1] == 900


def test_a_clear_case_asks_once_and_an_approximate_store_is_not_pressed() -> None:
    known, query = random_case(7, count=5000)
    exact, vague = Store(known), Store(known, error=0.05)
    best_rows(exact, known, query, 10)
    rows, scores = best_rows(vague, known, query, 10)
    assert len(exact.asked) == len(vague.asked) == 1
    assert len(set(rows.tolist())) == 10 and scores.tolist() == sorted(scores)[::-1]


def test_fewer_rows_than_wanted() -> None:
    known, query = random_case(1, count=9)
    allowed = np.arange(9) % 2 == 0
    rows, _ = best_rows(Store(known), known, query, 20, allowed, without=[0, 1, 8])
    assert sorted(rows.tolist()) == [2, 4, 6]
    rows, scores = best_rows(Store(known, missed=tuple(range(9))), known, query, 20)
    assert len(rows) == len(scores) == 0


def test_many_exclusions_leave_enough() -> None:
    known, query = random_case(2)
    everyone, _ = best_rows(Store(known), known, query, 400)
    rows, _ = best_rows(Store(known), known, query, 10, without=everyone[:200].tolist())
    assert rows.tolist() == everyone[200:210].tolist()


def test_an_approximate_store_is_asked_for_what_is_left_out_too() -> None:
    known, query = random_case(3)
    everyone, _ = best_rows(Store(known), known, query, 400)
    rows, _ = best_rows(Store(known, error=0.01), known, query, 10, without=everyone[:60].tolist())
    assert len(rows) == 10 and not set(rows) & set(everyone[:60])


def test_a_row_of_zeros_is_similar_to_nothing() -> None:
    stored = np.array([[0, 0], [1, 0], [-1, 0]], np.float16)
    rows, scores = best_rows(Store(vectors(stored)), vectors(stored), np.array([1, 0], np.float32), 3)
    assert rows.tolist() == [1, 0, 2] and scores.tolist() == [1, 0, -1]
