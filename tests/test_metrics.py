import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motacli.errors import MotaError, UnknownNameError
from motacli.metrics import average_precision_at_k, percent, query_values, ranks_in, recall_at_k


def naive_average_precision(ranking, targets, k):
    """Precision at every hit of the list, written as its definition reads."""
    hits, total = 0, 0.0
    for place, id in enumerate(ranking[:k], start=1):
        if id in targets:
            hits += 1
            total += hits / place
    return total / min(k, len(targets))


@given(st.permutations(range(12)), st.sets(st.integers(0, 15), min_size=1), st.integers(1, 14))
def test_average_precision_equals_its_definition(ranking, targets, k):
    ranking = [str(id) for id in ranking]
    targets = [str(id) for id in targets]
    expected = naive_average_precision(ranking, targets, k)
    assert math.isclose(average_precision_at_k(ranks_in(ranking, targets), k), expected, abs_tol=1e-12)


def test_a_perfect_top_k_scores_one_with_more_targets_than_k():
    assert average_precision_at_k([1, 2, 3, 4, 5, 6], 5) == 1.0


def test_a_query_with_one_target_is_not_divided_by_k():
    assert average_precision_at_k([2], 10) == 0.5


def test_average_precision_by_hand():
    assert average_precision_at_k([4, 1, 30], 10) == pytest.approx((1 / 1 + 2 / 4) / 3)


def test_recall_looks_at_the_annotated_target_only():
    assert recall_at_k([6, 1], 5) == 0.0
    assert recall_at_k([5, 90], 5) == 1.0


def test_ranks_in_a_list_that_ends_early():
    assert ranks_in(["b", "a"], ["a", "z"]) == [2, math.inf]


def test_named_metrics_and_their_mean():
    ranks = [np.array([1]), np.array([7])]
    subset = [np.array([2]), np.array([1])]
    assert query_values("R@5", ranks) == [1.0, 0.0]
    assert query_values("Rsubset@1", ranks, subset) == [0.0, 1.0]
    assert query_values("mean_of_R@5_and_Rsubset@1", ranks, subset) == [0.5, 0.5]
    assert percent([1.0, 0.0, 0.0, 0.0]) == 25.0


@pytest.mark.parametrize("name", ["R@0", "recall@5", "R@", "mAP", "mean_of_R@5_and_nothing"])
def test_unknown_metric(name):
    with pytest.raises(UnknownNameError, match="unknown metric"):
        query_values(name, [np.array([1])])


def test_subset_recall_without_subsets_is_an_error():
    with pytest.raises(MotaError, match="needs queries with a subset"):
        query_values("Rsubset@1", [np.array([1])])
