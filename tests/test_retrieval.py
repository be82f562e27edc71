"""Counting and blocked top-K against full sorts in integer arithmetic, with many exact ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motacli.errors import MotaError
from motacli.ranking_checks import check_features
from motacli.retrieval import private_ranks, private_top, target_ranks, top_k

DIM = 4


def unit_rows(rng, rows, distinct):
    """Unit rows of which only ``distinct`` differ, so that exact ties abound."""
    pool = rng.standard_normal((distinct, DIM)).astype(np.float32)
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    return pool[rng.integers(0, distinct, rows)]


def naive_order(query, gallery, rows):
    """``rows`` sorted by score, ties in the order given; the scores are exact integers of unlimited size."""

    def grid(vector):
        return [int(np.rint(float(value) * 2**26)) for value in vector]

    scores = {row: sum(a * b for a, b in zip(grid(query), grid(gallery[row]), strict=True)) for row in rows}
    return sorted(rows, key=lambda row: -scores[row]), scores


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, queries = draw(st.integers(2, 30)), draw(st.integers(1, 6))
    distinct = draw(st.integers(1, 40))
    gallery, asked = unit_rows(rng, size, distinct), unit_rows(rng, queries, distinct + 3)
    picks = [rng.permutation(size) for _ in range(queries)]
    targets = [pick[1 : 1 + rng.integers(1, size)].tolist() for pick in picks]
    excluded = np.array([pick[0] if draw(st.booleans()) else -1 for pick in picks])
    return asked, gallery, targets, excluded, draw(st.integers(1, 40))


@settings(max_examples=150, deadline=None)
@given(problems())
def test_ranks_equal_a_full_stable_sort(problem):
    queries, gallery, targets, excluded, block = problem
    found = target_ranks(queries, gallery, targets, excluded=excluded, block_size=block)
    for index, wanted in enumerate(targets):
        rows = [row for row in range(len(gallery)) if row != excluded[index]]
        order, scores = naive_order(queries[index], gallery, rows)
        assert found.ranks[index].tolist() == [1 + order.index(row) for row in wanted]
        values = list(scores.values())
        assert found.tied[index] == any(values.count(scores[row]) > 1 for row in wanted)


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(1, 35))
def test_top_k_equals_a_full_stable_sort(problem, k):
    queries, gallery, _, excluded, block = problem
    ids, scores = top_k(queries, gallery, k, excluded=excluded, block_size=block)
    assert ids.shape == scores.shape == (len(queries), min(k, len(gallery) - bool((excluded >= 0).any())))
    assert scores.dtype == np.float32
    for index, found in enumerate(ids):
        rows = [row for row in range(len(gallery)) if row != excluded[index]]
        assert found.tolist() == naive_order(queries[index], gallery, rows)[0][: len(found)]


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(1, 12))
def test_private_galleries_equal_a_full_stable_sort(problem, k):
    queries, gallery, targets, _, _ = problem
    candidates = [row[::-1] for row in targets]
    found = private_ranks(queries, gallery, candidates, [row[:1] for row in targets])
    ids, _ = private_top(queries, gallery, candidates, k)
    for index, rows in enumerate(candidates):
        order, _ = naive_order(queries[index], gallery, rows)
        assert found.ranks[index].tolist() == [1 + order.index(targets[index][0])]
        assert ids[index].tolist() == order[: ids.shape[1]]


@pytest.mark.parametrize("block", [1, 7, 64, 300, 5000])
def test_block_size_changes_nothing_at_a_real_width(block):
    rng = np.random.default_rng(3)
    gallery = rng.standard_normal((300, 512)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    gallery[150:] = gallery[:150]
    targets = [[int(row)] for row in rng.integers(0, 300, 40)]
    once, again = (target_ranks(gallery[:40], gallery, targets, block_size=size) for size in (1024, block))
    assert np.array_equal(once.ranks, again.ranks) and once.tied.all() and again.tied.all()
    for left, right in zip(
        top_k(gallery[:40], gallery, 9), top_k(gallery[:40], gallery, 9, block_size=block), strict=True
    ):
        assert np.array_equal(left, right)


def test_a_list_that_holds_the_target_twice_counts_the_first_and_reports_the_tie():
    gallery = np.eye(3, dtype=np.float32)
    found = private_ranks(gallery[:1], gallery, [[0, 1, 0]], [[0]])
    assert found.ranks[0].tolist() == [1] and found.tied.tolist() == [True]


def test_equal_features_everywhere_rank_by_gallery_order_and_are_all_reported():
    same = np.tile(np.eye(4, dtype=np.float32)[:1], (6, 1))
    found = target_ranks(same[:2], same, [[0], [4]])
    assert [rank.tolist() for rank in found.ranks] == [[1], [5]] and found.tied.all()


def test_an_excluded_target_is_an_error():
    gallery = np.eye(3, dtype=np.float32)
    with pytest.raises(MotaError, match="excluded"):
        target_ranks(gallery, gallery, [[0], [1], [2]], excluded=np.array([1, 1, 1]))


def test_a_target_outside_its_candidates_is_an_error():
    gallery = np.eye(3, dtype=np.float32)
    with pytest.raises(MotaError, match="query 0 is not among its candidates"):
        private_ranks(gallery[:1], gallery, [[0, 1]], [[2]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 3.0])
def test_features_that_are_not_unit_vectors_are_refused(bad):
    features = np.eye(3, dtype=np.float32)
    features[1] = bad
    with pytest.raises(MotaError, match="query features have to be unit vectors: row 1"):
        check_features(features, "query")
    with pytest.raises(MotaError, match="shape"):
        check_features(features[0], "query")
