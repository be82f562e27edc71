"""`mota bench search` in miniature: both sides do the work, and a store that finds something else is found out."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motacli.bench import find_cases
from motacli.bench.harness import compare
from motacli.bench.memory import Peak
from motacli.bench.picture_features import blocks, queries
from motacli.bench.search_graph import GraphCase
from motacli.bench.search_scan import ProductsCase, ScanCase
from motacli.errors import MotaError

CASES: list[Any] = [
    ScanCase("scan-1", 3000, 1),
    ProductsCase("products", 3000, 5),
    *([GraphCase("graph", 2500)] if find_spec("faiss") else []),
]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("motacli.bench.harness.peak_memory", lambda side: Peak(1, 2))
    monkeypatch.setattr("motacli.bench.harness.SETTLING", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_sides_agree_and_nothing_is_left(case: Any, tmp_path: Path) -> None:
    found = compare(case, repeats=1)
    assert found.seconds > 0 and found.baseline_seconds > 0 and all(value > 0 for value in found.own.values())
    names = {"scan-1": "share_of_memory", "products": "share_of_products", "graph": "recall_at_10"}
    assert names[case.name] in found.record() and not list(tmp_path.iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_other_rows_are_found_out(case: Any) -> None:
    inputs = case.inputs(0)
    ours, baseline = case.ours(inputs)(), case.baseline(inputs)()
    wrong = ours + 3000 if isinstance(ours, np.ndarray) else (ours[0][:, ::-1], ours[1])
    with pytest.raises(MotaError, match=case.name):
        case.check(inputs, wrong, baseline)
    case.check(inputs, ours, baseline)


def test_features_lie_as_those_of_pictures_do() -> None:
    features = np.concatenate(list(blocks(9000, 0)))
    assert np.array_equal(next(blocks(100, 0)), next(blocks(100, 0)))
    assert not np.array_equal(next(blocks(100, 0)), next(blocks(100, 1)))
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = units[:500] @ units[500:1000].T
    assert 0.4 < cosines.mean() < 0.6 and np.linalg.norm(features, axis=1) == pytest.approx(10, rel=1e-5)
    best = (queries(50, 0) @ units.T).max(axis=1)
    assert best.mean() > cosines.mean() + 3 * cosines.std()


def test_the_real_cases_are_those_of_the_issue() -> None:
    cases = {case.name: case for case in find_cases("search")}
    assert cases["scan-1"].sizes == {"rows": 1_000_000, "queries": 1, "width": 768, "megabytes": 1536}
    assert cases["scan-32"].sizes["queries"] == cases["scan-32-products"].sizes["queries"] == 32
    assert cases["hnsw"].sizes["rows"] == 200_000 and cases["hnsw-million"].sizes["rows"] == 1_000_000
