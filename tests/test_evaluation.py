from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.contracts import EvalUnit, ImageRef, Query
from motacli.errors import MotaError
from motacli.evaluation import bootstrap_ci, report_units, score_unit

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
    assert result.by_tag == pytest.approx({"mAP@10[x]": 100 * expected[0], "mAP@10[y]": 50 * sum(expected)})
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
    row = {"metrics": {"R@10": 100.0, "R@50": 100.0}, "hits": {"R@10": 1, "R@50": 1}, "n": 1, "ties": 0, "by_tag": {}}
    assert units["fashioniq_dress"] == row
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


def test_bootstrap_interval_is_repeatable_and_brackets_the_mean():
    values = [1.0] * 30 + [0.0] * 70
    low, high = bootstrap_ci(values, seed=1)
    assert (low, high) == bootstrap_ci(values, seed=1)
    assert 0.19 < low < 0.25 and 0.35 < high < 0.41
    assert bootstrap_ci([0.5] * 4, seed=0) == (0.5, 0.5)
    with pytest.raises(MotaError):
        bootstrap_ci([], seed=0)
