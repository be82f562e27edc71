"""Ready rankings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from supplied.supplied_files import random_features, write_json

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.genecis import GeneCIS
from motacli.contracts import EvalUnit
from motacli.errors import DataError, MotaError
from motacli.evaluation import UnitResult, score_unit
from motacli.runs import write_json as write_record
from motacli.supplied.rankings import load_ranked, score_rankings
from motacli.tiny.mini import write_circo, write_cirr
from motacli.tiny.mini_genecis import write_genecis


@pytest.fixture(scope="module")
def cirr(tmp_path_factory: pytest.TempPathFactory) -> EvalUnit:
    root = tmp_path_factory.mktemp("cirr")
    write_cirr(root, 1, "val", sets=12)
    return CIRR().load(root)[0]


@pytest.fixture(scope="module")
def scored(cirr: EvalUnit) -> UnitResult:
    gallery, queries = random_features(len(cirr.gallery)), random_features(len(cirr.queries), seed=1)
    gallery, queries = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (gallery, queries))
    return score_unit(cirr, gallery, queries, keep_top=len(cirr.gallery))


def lists(result: UnitResult, depth: int | None = None) -> dict[str, list[str]]:
    assert result.top is not None
    return {id: list(ids[:depth]) for id, ids in zip(result.top.query_ids, result.top.ids, strict=True)}


def test_whole_rankings_give_what_features_give(cirr: EvalUnit, scored: UnitResult, tmp_path: Path) -> None:
    (found,) = score_rankings([cirr], write_json(tmp_path / "r.json", lists(scored)))
    assert (found.metrics, found.hits) == (scored.metrics, scored.hits)
    record = write_record(tmp_path / "kept.json", scored.top)
    assert score_rankings([cirr], record)[0].metrics == scored.metrics
    header = {"version": "rc2", "metric": "recall", **lists(scored)}
    assert score_rankings([cirr], write_json(tmp_path / "server.json", header))[0].metrics == scored.metrics


def test_the_reference_leaves_a_ranking_where_the_protocol_says_so(
    cirr: EvalUnit, scored: UnitResult, tmp_path: Path
) -> None:
    with_reference = {query.id: [query.reference, *lists(scored)[query.id]] for query in cirr.queries}
    path = write_json(tmp_path / "r.json", with_reference)
    assert score_rankings([cirr], path)[0].metrics == scored.metrics
    kept = score_rankings([replace(cirr, exclude_reference=False)], path)[0]
    assert kept.metrics["R@1"] == 0.0


def test_short_lists_give_the_metrics_that_they_decide(cirr: EvalUnit, scored: UnitResult, tmp_path: Path) -> None:
    (found,) = score_rankings([cirr], write_json(tmp_path / "r.json", lists(scored, 10)))
    assert set(found.metrics) >= {"R@1", "R@5", "R@10"} and "R@50" not in found.metrics
    assert found.metrics.items() <= scored.metrics.items()
    assert scored.subset_top is not None
    three = zip(scored.subset_top.query_ids, scored.subset_top.ids, strict=True)
    subset = write_json(tmp_path / "s.json", {id: list(ids[:3]) for id, ids in three})
    (both,) = score_rankings([cirr], tmp_path / "r.json", subset)
    assert {"Rsubset@1", "Rsubset@2", "Rsubset@3"} <= set(both.metrics)
    assert both.metrics.items() <= scored.metrics.items()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r, q: r.pop(q), "nothing for 1 of"),
        (lambda r, q: r.update(extra=[]), "no such query: 'extra'"),
        (lambda r, q: r.update({q: r[q] + r[q][:1]}), "ranks an image twice"),
        (lambda r, q: r.update({q: ["nowhere", *r[q]]}), "'nowhere', which is not in the gallery"),
        (lambda r, q: r.update({q: "abc"}), "expected a list of image ids"),
        (lambda r, q: r.update({q: [None]}), "expected a list of image ids"),
        (lambda r, q: r.update({q: []}), "too short for any metric"),
    ],
)
def test_mistakes_are_named(change: Any, said: str, cirr: EvalUnit, scored: UnitResult, tmp_path: Path) -> None:
    ranking = lists(scored, 60)
    change(ranking, cirr.queries[0].id)
    with pytest.raises(DataError, match=said):
        score_rankings([cirr], write_json(tmp_path / "r.json", ranking))


def test_secret_targets_are_said_to_be_secret(cirr: EvalUnit, scored: UnitResult, tmp_path: Path) -> None:
    secret = replace(cirr, metrics=())
    with pytest.raises(MotaError, match="keeps its targets secret"):
        score_rankings([secret], write_json(tmp_path / "r.json", lists(scored)))


def test_circo_needs_no_image_list_for_rankings(tmp_path: Path) -> None:
    write_circo(tmp_path / "circo", 1, "val", queries=4, others=10)
    full = CIRCO().load(tmp_path / "circo")[0]
    (tmp_path / "circo/COCO2017_unlabeled/annotations/image_info_unlabeled2017.json").unlink()
    (unit,) = load_ranked(CIRCO(), tmp_path / "circo")
    ranking = {query.id: [int(id) for id in (*query.targets, "999999")] for query in full.queries}
    (found,) = score_rankings([unit], write_json(tmp_path / "r.json", {"circo_val": ranking}))
    assert found.metrics == dict.fromkeys(unit.metrics, 100.0)
    ranking[full.queries[0].id].pop(0)
    (less,) = score_rankings([unit], write_json(tmp_path / "less.json", {"circo_val": ranking}))
    assert set(less.metrics) == {"mAP@5", "R@5"} and less.hits == {"R@5": 3}


def test_units_that_share_query_ids_have_to_be_told_apart(tmp_path: Path) -> None:
    write_genecis(tmp_path, 1, "val", queries=2, others=30)
    units = GeneCIS().load(tmp_path, parts=["focus_object", "change_object"])
    answers = {unit.name: {query.id: list(dict.fromkeys(query.candidates)) for query in unit.queries} for unit in units}
    found = score_rankings(units, write_json(tmp_path / "r.json", answers))
    assert [result.metrics["R@1"] for result in found] == [100.0, 100.0]
    with pytest.raises(DataError, match="is in several units"):
        score_rankings(units, write_json(tmp_path / "flat.json", answers[units[0].name]))
    with pytest.raises(DataError, match="no such unit: 'other'"):
        score_rankings(units, write_json(tmp_path / "more.json", {**answers, "other": {}}))
