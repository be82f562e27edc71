"""The faiss store: what it builds and finds, and the mistakes that are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motacli.bench.picture_features import blocks, queries
from motacli.config import parse_options
from motacli.console import NullProgress
from motacli.errors import DataError, UsageError
from motacli.search.exact import ExactOptions, ExactStore
from motacli.search.faiss_store import FILE, LEAST_ROWS, FaissOptions, FaissStore
from motacli.search.vectors import Vectors

pytest.importorskip("faiss", reason="Faiss is not installed")
ROWS, K = 4000, 10


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Vectors:
    return Vectors.write(tmp_path_factory.mktemp("vectors"), blocks(ROWS, 0), ROWS, 768, "float16")


@pytest.fixture(scope="module", params=["hnsw", "ivfpq"])
def built(request: pytest.FixtureRequest, vectors: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Any:
    options = FaissOptions(kind=request.param, build_effort=64)
    folder = tmp_path_factory.mktemp(request.param)
    FaissStore.build(folder, vectors, options, NullProgress())
    return FaissStore.open(folder, vectors, options), folder, options


def test_nearly_all_are_found_and_scored_exactly(built: Any, vectors: Vectors) -> None:
    store, _, options = built
    asked, exact = queries(50, 0), ExactStore.open(Path(), vectors, ExactOptions())
    rows, scores = store.search(asked, K)
    wanted, best = exact.search(asked, K)
    found = [np.isin(mine, theirs) for mine, theirs in zip(rows, wanted, strict=True)]
    assert np.mean(found) >= (0.98 if options.kind == "hnsw" else 0.85)
    for number in range(50):
        known = dict(zip(wanted[number].tolist(), best[number].tolist(), strict=True))
        assert all(known[row] == score for row, score in zip(rows[number], scores[number], strict=True) if row in known)


@pytest.mark.parametrize("share", [0.9, 0.2, 0.02])
def test_filters(built: Any, vectors: Vectors, share: float) -> None:
    store, asked = built[0], queries(20, 0)
    allowed = np.random.default_rng(3).random(ROWS) < share
    rows, _ = store.search(asked, K, allowed)
    wanted, _ = ExactStore.open(Path(), vectors, ExactOptions()).search(asked, K, allowed)
    assert allowed[rows[rows >= 0]].all()
    assert np.mean([np.isin(mine, theirs).mean() for mine, theirs in zip(wanted, rows, strict=True)]) > 0.85


def test_few_rows_need_no_file(vectors: Vectors, tmp_path: Path) -> None:
    few = Vectors(vectors.stored[: LEAST_ROWS - 1], vectors.norms[: LEAST_ROWS - 1])
    FaissStore.build(tmp_path, few, FaissOptions(), NullProgress())
    store = FaissStore.open(tmp_path, few, FaissOptions())
    assert not list(tmp_path.iterdir()) and store.search(few.units(np.array([8])), 3)[0][0, 0] == 8


def test_a_file_that_is_missing_broken_or_of_others(built: Any, vectors: Vectors, tmp_path: Path) -> None:
    _, folder, options = built
    with pytest.raises(DataError, match=rf"{FILE}: it is not there \(build the index again\)"):
        FaissStore.open(tmp_path, vectors, options)
    (tmp_path / FILE).write_bytes((folder / FILE).read_bytes()[:5000])
    with pytest.raises(DataError, match="Faiss cannot read it"):
        FaissStore.open(tmp_path, vectors, options)
    others = Vectors(vectors.stored[:3000], vectors.norms[:3000])
    with pytest.raises(DataError, match="holds 4000 rows of 768 numbers, not 3000 of 768"):
        FaissStore.open(folder, others, options)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "flat"}, "kind must be"),
        ({"links": 0}, "links must be at least 1"),
        ({"probes": -1}, "probes must not be negative"),
        ({"efforts": 3}, "did you mean 'effort'"),
    ],
)
def test_mistaken_options(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_options(FaissOptions, given, "options of index store 'faiss'")


def test_codes_that_do_not_fit(vectors: Vectors, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="codes of 7 bytes do not suit 4000 rows of 768 numbers"):
        FaissStore.build(tmp_path, vectors, FaissOptions(kind="ivfpq", code_bytes=7), NullProgress())


def test_without_faiss(vectors: Vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(UsageError, match=r"store 'faiss' needs faiss.*pip install 'mota\[faiss\]'"):
        FaissStore.build(tmp_path, vectors, FaissOptions(), NullProgress())
