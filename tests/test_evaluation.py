from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.contracts import EvalUnit, ImageRef, Query
from motacli.errors import MotaError
from motacli.evaluation import report_units, score_unit

IDS = ("a", "b", "c", "d")
ANGLES = {"a": 0.0, "b": 0.4, "c": 0.8, "d": 1.2}


def at(*angles: float) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def make_unit(*queries: Query, metrics: tuple[str, ...], exclude_reference: bool = False) -> EvalUnit:
    images = {id: ImageRef(id, Path(f"{id}.png")) for id in IDS}
    return EvalUnit("unit", "bench", "val", queries, IDS, images, metrics, exclude_reference)


GALLERY = at(*ANGLES.values())


def test_recalls_by_hand_with_the_reference_in_the_ranking_or_out_of_it():
    unit = make_unit(Query("0", "a", ("",), ("b",)), Query("1", "c", ("",), ("d",)), metrics=("R@1", "R@2"))
    kept = score_unit(unit, GALLERY, at(0.1, 1.2))
    assert kept.metrics == {"R@1": 50.0, "R@2": 100.0} and kept.hits == {"R@1": 1, "R@2": 2}
    assert kept.per_query == {"R@1": [0.0, 1.0], "R@2": [1.0, 1.0]} and (kept.n, kept.ties, kept.top) == (2, 0, None)
    assert score_unit(replace(unit, exclude_reference=True), GALLERY, at(0.1, 1.2)).metrics["R@1"] == 100.0


def test_subset_recall_and_its_mean_with_the_full_one():
    names = ("R@1", "Rsubset@1", "mean_of_R@1_and_Rsubset@1")
    unit = make_unit(Query("0", "a", ("",), ("c",), subset=("d", "c")), metrics=names, exclude_reference=True)
    result = score_unit(unit, GALLERY, at(0.3), keep_top=5)
    assert result.metrics == {"R@1": 0.0, "Rsubset@1": 100.0, names[2]: 50.0}
    assert result.hits == {"R@1": 0, "Rsubset@1": 1}
    assert result.top and result.top.ids == (("b", "c", "d"),) and result.top.query_ids == ("0",)
    assert result.subset_top and result.subset_top.ids == (("c", "d"),)


def test_average_precision_and_its_breakdown_by_tag():
    queries = (Query("0", "a", ("",), ("b", "d"), tags=("x", "y")), Query("1", "a", ("",), ("a",), tags=("y",)))
    result = score_unit(make_unit(*queries, metrics=("mAP@10",)), GALLERY, at(0.4, 0.4))
    expected = [(1 / 1 + 2 / 4) / 2, 1 / 2]
    assert result.per_query["mAP@10"] == pytest.approx(expected)
    assert result.by_tag["mAP@10"] == pytest.approx({"x": 100 * expected[0], "y": 50 * sum(expected)})
    assert result.hits == {}


def test_private_galleries_put_the_target_first_in_a_tie():
    unit = make_unit(Query("0", "a", ("",), ("c",), candidates=("c", "d", "c")), metrics=("R@1",))
    result = score_unit(unit, GALLERY, at(0.8), keep_top=2)
    assert result.hits == {"R@1": 1} and result.ties == 1
    assert result.top and result.top.ids == (("c", "c"),)


def test_secret_targets_give_rankings_only():
    result = score_unit(make_unit(Query("7", "a", ("",)), metrics=()), GALLERY, at(0.0), keep_top=3)
    assert (result.metrics, result.hits, result.per_query, result.n) == ({}, {}, {}, 1)
    assert result.top and result.top.ids == (("a", "b", "c"),) and result.top.scores.shape == (1, 3)


def test_block_size_does_not_change_a_result():
    unit = make_unit(*(Query(id, "a", ("",), (id,)) for id in IDS), metrics=("R@1", "mAP@5"))
    results = [score_unit(unit, GALLERY, at(0.1, 0.2, 0.5, 0.9), block_size=size) for size in (1, 2, 3, 99)]
    assert all(result == results[0] for result in results)


def test_a_report_lists_units_and_averages():
    unit = make_unit(Query("0", "a", ("",), ("b",)), metrics=("R@10", "R@50"))
    parts = [replace(unit, name=f"fashioniq_{part}") for part in FashionIQ.parts]
    results = [score_unit(part, GALLERY, at(0.1)) for part in parts]
    units = report_units(FashionIQ(), results)["units"]
    assert list(units) == [*(part.name for part in parts), "fashioniq_average"]
    assert units["fashioniq_dress"]["metrics"] == {"R@10": 100.0, "R@50": 100.0}
    assert units["fashioniq_dress"]["hits"] == {"R@10": 1, "R@50": 1} and units["fashioniq_dress"]["n"] == 1
    assert units["fashioniq_average"]["metrics"]["mean_of_R@10_and_R@50"] == 100.0
    assert units["fashioniq_average"]["n"] == 3
    assert list(report_units(CIRR(), results[:1])["units"]) == ["fashioniq_dress"]


@pytest.mark.parametrize(
    ("queries", "gallery", "asked", "message"),
    [
        ([Query("0", "a", ("",), ("b",))], GALLERY[:3], at(0.0), "3 gallery features for 4 rows"),
        ([Query("0", "a", ("",), ("b",))], GALLERY, at(0.0, 0.1), "2 query features for 1 rows"),
        ([Query("0", "a", ("",), ("z",))], GALLERY, at(0.0), "'z', which is not in the gallery"),
        ([Query("0", "a", ("",), ("b",))], GALLERY, np.eye(3, dtype=np.float32)[:1], "dimensions"),
        ([Query("0", "a", ("",), ("b",)), Query("1", "a", ("",))], GALLERY, at(0.0, 0.1), "only 1 of 2 queries"),
        ([Query("0", "a", ("",), ("b",))], GALLERY, at(0.0) * np.nan, "unit vectors"),
        ([], GALLERY, np.zeros((0, 2), np.float32), "no queries"),
    ],
)
def test_what_does_not_fit_together_is_refused(queries, gallery, asked, message):
    with pytest.raises(MotaError, match=message):
        score_unit(make_unit(*queries, metrics=("R@1",)), gallery, asked)


def test_ties_are_reported_where_they_decide_and_a_protocol_may_decide_otherwise():
    gallery = at(0.0, 0.8, 0.8, 1.2)  # b and c are the same picture
    unit = make_unit(Query("0", "a", ("",), ("c",)), Query("1", "a", ("",), ("a",)), metrics=("R@1", "R@2"))
    first = score_unit(unit, gallery, at(0.8, 0.0))
    assert (first.ties, first.hits, first.tie_range) == (1, {"R@1": 1, "R@2": 2}, {"R@1": (50.0, 100.0)})
    won, lost = (score_unit(replace(unit, ties=ties), gallery, at(0.8, 0.0)).hits["R@1"] for ties in ("won", "lost"))
    assert (won, lost) == (2, 1)


def test_ties_among_targets_decide_recall_but_not_precision():
    gallery = at(0.0, 0.8, 0.8, 1.2)
    unit = make_unit(Query("0", "a", ("",), ("c", "b")), metrics=("mAP@2", "R@1"))
    result = score_unit(unit, gallery, at(0.8))
    assert result.metrics == {"mAP@2": 100.0, "R@1": 0.0} and result.ranks == [[2.0, 1.0]]
    assert result.tie_range == {"R@1": (0.0, 100.0)}


def test_precision_may_be_divided_by_all_targets():
    unit = make_unit(Query("0", "a", ("",), ("b", "d", "a")), metrics=("mAP@2",))
    capped = score_unit(unit, GALLERY, at(0.4)).metrics["mAP@2"]
    whole = score_unit(replace(unit, ap_divisor="targets"), GALLERY, at(0.4)).metrics["mAP@2"]
    assert whole == pytest.approx(capped * 2 / 3)


@st.composite
def scored_problems(draw: st.DrawFn) -> tuple[EvalUnit, np.ndarray, np.ndarray]:
    """Units whose galleries hold the same few directions again and again, so that ties abound."""
    size, count = draw(st.integers(2, 14)), draw(st.integers(1, 6))
    angles = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.4, 2.0])
    gallery, asked = (at(*draw(st.lists(angles, min_size=n, max_size=n))) for n in (size, count))
    ids = [f"i{row}" for row in range(size)]
    queries = []
    for row in range(count):
        targets = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=min(size, 5), unique=True))
        others = [id for id in ids if id not in targets]
        reference = draw(st.sampled_from(others)) if others else "elsewhere"
        queries.append(Query(str(row), reference, ("",), tuple(targets)))
    metrics = ("R@1", "R@3", "mAP@2", "mAP@5")
    excluded = draw(st.booleans())
    return EvalUnit("u", "b", "val", tuple(queries), tuple(ids), {}, metrics, excluded), gallery, asked


def naive_value(metric: str, ranking: list[str], targets: tuple[str, ...]) -> float:
    """A metric of one query by walking down its ranking."""
    kind, k = metric.split("@")
    top = ranking[: int(k)]
    if kind == "R":
        return float(targets[0] in top)
    found, total = 0, 0.0
    for place, id in enumerate(top, start=1):
        if id in targets:
            found += 1
            total += found / place
    return total / min(int(k), len(targets))


@given(scored_problems(), st.sampled_from([1, 7, 1024]))
@settings(max_examples=200, deadline=None)
def test_every_value_is_that_of_a_naive_full_sort(problem, block):
    unit, gallery, asked = problem
    result = score_unit(unit, gallery, asked, block_size=block)
    exact = np.rint(gallery.astype(np.float64) * 2**26) @ np.rint(asked.astype(np.float64) * 2**26).T
    for row, query in enumerate(unit.queries):
        order = sorted(range(len(gallery)), key=lambda entry: (-exact[entry, row], entry))
        ranking = [unit.gallery[entry] for entry in order]
        if unit.exclude_reference:
            ranking = [id for id in ranking if id != query.reference]
        for metric in unit.metrics:
            assert result.per_query[metric][row] == pytest.approx(naive_value(metric, ranking, query.targets))
        assert result.ranks[row] == [ranking.index(target) + 1 for target in query.targets]


@given(scored_problems())
@settings(max_examples=200, deadline=None)
def test_every_way_to_break_ties_stays_in_the_range_that_is_reported(problem):
    unit, gallery, asked = problem
    result = score_unit(unit, gallery, asked)
    order = np.random.default_rng(0).permutation(len(gallery))
    shuffled = replace(unit, gallery=tuple(unit.gallery[row] for row in order))
    again = score_unit(shuffled, gallery[order], asked)
    for metric in unit.metrics:
        low, high = result.tie_range.get(metric, (result.metrics[metric],) * 2)
        assert low - 1e-9 <= again.metrics[metric] <= high + 1e-9
        assert low - 1e-9 <= result.metrics[metric] <= high + 1e-9
