"""The two sides of `mota bench eval` find the same numbers, and what differs is noticed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motacli.bench import evaluation, peer_baseline
from motacli.bench.agreement import near_ties
from motacli.bench.evaluation import EvaluationCase
from motacli.bench.peer_baseline import PeerScores
from motacli.bench.synthetic import UnitFeatures, UnitShape, circo_ids, cirr_ids, fashioniq_ids, make_unit, unit_rows
from motacli.contracts import EvalUnit, Query
from motacli.errors import MotaError
from motacli.evaluation import UnitResult, score_unit

CASES: dict[str, Any] = evaluation.CASES  # type: ignore[assignment]
RECALLS = ("R@1", "R@5", "Rsubset@1", "Rsubset@2")


def both(data: UnitFeatures) -> tuple[UnitResult, PeerScores]:
    theirs = peer_baseline.score(data.unit, torch.from_numpy(data.gallery), torch.from_numpy(data.queries))
    return score_unit(data.unit, data.gallery, data.queries), theirs


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_smaller_case_gives_the_same_numbers_on_both_sides(name: str, seed: int) -> None:
    case: EvaluationCase = CASES[name].scaled(0.04)
    inputs = case.inputs(seed)
    ours, theirs = case.ours(inputs)(), case.baseline(inputs)()
    assert case.check(inputs, ours, theirs) <= 1  # arithmetic differs between machines, and so do near ties
    for one in ours:
        assert all(0 < value < 100 for value in one.metrics.values())
        assert (one.top is not None) == (name == "circo")


shapes = st.builds(
    UnitShape,
    name=st.just("unit"),
    queries=st.integers(1, 12),
    gallery=st.integers(20, 60),
    metrics=st.just(RECALLS),
    ids=st.sampled_from([cirr_ids, fashioniq_ids, circo_ids]),
    subset=st.integers(2, 6),
    exclude_reference=st.just(True),  # as wherever there are subsets
    dim=st.integers(2, 24),
)


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(0, 1000), st.booleans(), st.booleans())
def test_random_units_agree_with_and_without_exact_ties(shape: UnitShape, seed: int, subsets: bool, ties: bool) -> None:
    if not subsets:
        shape = replace(shape, metrics=("R@1", "R@5"), subset=0, exclude_reference=False)
    data = make_unit(shape, np.random.default_rng(seed))
    if ties:
        data.gallery[::2] = data.gallery[1]
    near_ties(data, *both(data))  # which raises where they differ


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 1000))
def test_several_targets_agree(shape: UnitShape, seed: int) -> None:
    metrics = ("mAP@5", "mAP@10", "R@1", "R@10")
    several = replace(shape, metrics=metrics, mean_targets=3.0, subset=0, exclude_reference=False)
    data = make_unit(several, np.random.default_rng(seed))
    near_ties(data, *both(data))


def at(*angles: float) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def small_unit(query: Query, *metrics: str, gallery: tuple[float, ...] = (0.0, 0.4, 0.8, 1.2)) -> UnitFeatures:
    unit = EvalUnit("unit", "bench", "val", (query,), ("a", "b", "c", "d"), {}, metrics, exclude_reference=False)
    return UnitFeatures(unit, at(*gallery), at(0.1))


def test_the_baseline_by_hand() -> None:
    data = small_unit(Query("0", "a", ("",), ("c",), subset=("c", "d", "b")), "R@1", "R@2", "R@3", "Rsubset@1")
    assert both(data)[1].metrics == {"R@1": 0.0, "R@2": 0.0, "R@3": 100.0, "Rsubset@1": 0.0}
    without = replace(data, unit=replace(data.unit, exclude_reference=True))
    assert both(without)[1].metrics == {"R@1": 0.0, "R@2": 100.0, "R@3": 100.0, "Rsubset@1": 0.0}
    several = both(small_unit(Query("0", "a", ("",), ("c", "a")), "mAP@3", "mAP@1", "R@3"))[1]
    assert several.metrics == pytest.approx({"mAP@3": 100 * (1 / 1 + 2 / 3) / 2, "mAP@1": 100.0, "R@3": 100.0})


def test_a_difference_that_no_tie_explains_is_refused() -> None:
    data = small_unit(Query("0", "a", ("",), ("b",)), "R@1", "R@2")
    ours, theirs = both(data)
    assert near_ties(data, ours, theirs) == 0
    wrong = PeerScores({"R@1": 100.0, "R@2": 100.0}, {"R@1": np.ones(1), "R@2": np.ones(1)})
    with pytest.raises(MotaError, match=r"R@1 is 0\.0000 by our evaluation and 100\.0000 by the baseline"):
        near_ties(data, ours, wrong)
    with pytest.raises(MotaError, match="R@1 is 50"):
        near_ties(data, ours, replace(theirs, metrics={**theirs.metrics, "R@1": 50.0}))
    with pytest.raises(MotaError, match="nan"):
        near_ties(data, ours, replace(theirs, metrics={**theirs.metrics, "R@1": float("nan")}))
    with pytest.raises(MotaError, match="lacks a metric"):
        near_ties(data, ours, PeerScores({}, {}))


def test_a_difference_within_rounding_is_counted() -> None:
    data = small_unit(Query("0", "d", ("",), ("b",)), "R@1", gallery=(0.3, 0.3, 0.8, 1.2))
    values = {rank: PeerScores({"R@1": 100.0 * rank}, {"R@1": np.array([rank])}) for rank in (0.0, 1.0)}
    assert near_ties(data, values[0.0], values[1.0]) == 1
    assert near_ties(data, values[1.0], values[1.0]) == 0


# ---------------------------------------------------------------------------------------------- inputs


def test_the_cases_have_the_real_sizes() -> None:
    sizes = {name: (case.sizes["queries"], case.sizes["gallery"], case.sizes["dim"]) for name, case in CASES.items()}
    assert sizes == {"cirr-val": (4181, 2297, 768), "fashioniq": (6016, 15536, 768), "circo": (800, 123_403, 768)}


@pytest.mark.parametrize(("make", "length"), [(cirr_ids, 15), (fashioniq_ids, 10), (circo_ids, 6)])
def test_ids_are_distinct_and_as_long_as_the_real_ones(make: Any, length: int) -> None:
    ids = make(2297, np.random.default_rng(0))
    assert len(ids) == len(set(ids)) == 2297 and max(map(len, ids)) == length
    assert ids == make(2297, np.random.default_rng(0))


def test_units_are_well_formed() -> None:
    shape = UnitShape("unit", 40, 50, RECALLS, cirr_ids, subset=5, exclude_reference=True, dim=16)
    data = make_unit(shape, np.random.default_rng(0))
    for query in data.unit.queries:
        assert len(query.targets) == 1 and query.reference not in query.subset
        assert query.targets[0] in query.subset and len(set(query.subset)) == 5
    assert data.gallery.dtype == data.queries.dtype == np.float32
    for rows in (data.gallery, data.queries, unit_rows(9000, 3, np.random.default_rng(0))):
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


def test_our_side_runs_without_torch() -> None:
    code = (
        "import sys; from motacli.bench.evaluation import CASES\n"
        "case = CASES['circo'].scaled(0.0); case.ours(case.inputs(0))(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
