"""Features of any model, scored without images or weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from supplied.supplied_files import random_features, write_features

from motacli.benchmarks.circo import CIRCO
from motacli.benchmarks.cirr import CIRR
from motacli.benchmarks.fashioniq import FashionIQ
from motacli.contracts import EvalUnit
from motacli.errors import DataError
from motacli.evaluation import score_unit
from motacli.supplied.features import load_supplied, read_features, score_features
from motacli.tiny.mini import write_circo, write_cirr, write_fashioniq


@pytest.fixture(scope="module")
def cirr(tmp_path_factory: pytest.TempPathFactory) -> EvalUnit:
    root = tmp_path_factory.mktemp("cirr")
    write_cirr(root, 1, "val", sets=3)
    return CIRR().load(root)[0]


@pytest.fixture(scope="module")
def fashioniq(tmp_path_factory: pytest.TempPathFactory) -> list[EvalUnit]:
    root = tmp_path_factory.mktemp("fashioniq")
    write_fashioniq(root, 1, "val", queries=6)
    return FashionIQ().load(root)


def unit_rows(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_rows_come_in_any_order_and_of_any_length(cirr: EvalUnit, tmp_path: Path) -> None:
    gallery, queries = random_features(len(cirr.gallery)), random_features(len(cirr.queries), seed=1)
    expected = score_unit(cirr, unit_rows(gallery), unit_rows(queries))
    shuffled = np.random.default_rng(2).permutation(len(cirr.gallery))
    ids = [cirr.gallery[row] for row in shuffled]
    files = (
        write_features(tmp_path / "g.h5", ids, 7 * gallery[shuffled]),
        write_features(tmp_path / "q.h5", [query.id for query in cirr.queries], queries.astype(np.float64)),
    )
    (found,) = score_features([cirr], *files)
    assert (found.metrics, found.hits, found.n) == (expected.metrics, expected.hits, len(cirr.queries))


def test_one_file_for_all_units_or_one_for_each(fashioniq: list[EvalUnit], tmp_path: Path) -> None:
    ids = list(dict.fromkeys(id for unit in fashioniq for id in unit.gallery))
    feature = dict(zip(ids, random_features(len(ids)), strict=True))
    queries = {unit.name: random_features(len(unit.queries), seed=row) for row, unit in enumerate(fashioniq)}
    for unit in fashioniq:
        write_features(tmp_path / f"{unit.name}_g.h5", unit.gallery, np.array([feature[id] for id in unit.gallery]))
        write_features(tmp_path / f"{unit.name}_q.h5", [query.id for query in unit.queries], queries[unit.name])
    apart = score_features(fashioniq, tmp_path / "{unit}_g.h5", tmp_path / "{unit}_q.h5")
    write_features(tmp_path / "g.h5", ids, np.array([feature[id] for id in ids]))
    asked = [query.id for unit in fashioniq for query in unit.queries]
    write_features(tmp_path / "q.h5", asked, np.concatenate(list(queries.values())))
    together = score_features(fashioniq, tmp_path / "g.h5", tmp_path / "q.h5")
    assert [result.hits for result in together] == [result.hits for result in apart]
    assert [result.name for result in apart] == [unit.name for unit in fashioniq]


def test_circos_gallery_is_what_the_file_holds(tmp_path: Path) -> None:
    write_circo(tmp_path / "circo", 1, "val", queries=4, others=10)
    full = CIRCO().load(tmp_path / "circo")[0]
    (tmp_path / "circo/COCO2017_unlabeled/annotations/image_info_unlabeled2017.json").unlink()
    gallery = write_features(tmp_path / "g.h5", full.gallery[::-1], random_features(len(full.gallery)))
    (unit,) = load_supplied(CIRCO(), tmp_path / "circo", gallery)
    assert unit.gallery == full.gallery[::-1] and unit.queries == full.queries and unit.metrics == full.metrics
    queries = write_features(tmp_path / "q.h5", [query.id for query in full.queries], random_features(4, seed=1))
    assert score_features([unit], gallery, queries)[0].n == 4
    fewer = [id for id in full.gallery if id != full.queries[0].targets[0]]
    partial = write_features(tmp_path / "partial.h5", fewer, random_features(len(fewer)))
    with pytest.raises(DataError, match=r"entry 0.*not in the gallery of .*partial\.h5"):
        load_supplied(CIRCO(), tmp_path / "circo", partial)


def swap_first_two(ids: list[str]) -> list[str]:
    return [ids[1], ids[0], *ids[2:]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ids: ids[1:], "no features of 1 of"),
        (lambda ids: [*ids, "other"], "1 images are not in the gallery: 'other'"),
        (lambda ids: [*ids[:-1], ids[0]], "appears twice"),
    ],
)
def test_another_gallery_is_refused(
    change: Callable[[list[str]], list[str]], said: str, cirr: EvalUnit, tmp_path: Path
) -> None:
    ids = change(list(cirr.gallery))
    gallery = write_features(tmp_path / "g.h5", ids, random_features(len(ids)))
    queries = write_features(
        tmp_path / "q.h5", [query.id for query in cirr.queries], random_features(len(cirr.queries))
    )
    with pytest.raises(DataError, match=said):
        score_features([cirr], gallery, queries)


@pytest.mark.parametrize(
    ("change", "said"), [(swap_first_two, "row 0 is query"), (lambda ids: ids[1:], "rows for the"), (list, None)]
)
def test_queries_have_to_be_in_the_order_of_the_file(
    change: Callable[[list[str]], list[str]], said: str | None, cirr: EvalUnit, tmp_path: Path
) -> None:
    ids = change([query.id for query in cirr.queries])
    gallery = write_features(tmp_path / "g.h5", cirr.gallery, random_features(len(cirr.gallery)))
    queries = write_features(tmp_path / "q.h5", ids, random_features(len(ids)))
    if said is None:
        assert score_features([cirr], gallery, queries)
    else:
        with pytest.raises(DataError, match=said):
            score_features([cirr], gallery, queries)


def with_value(value: float) -> np.ndarray:
    features = random_features(3)
    features[1] = value
    return features


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (with_value(np.nan), "'b' \\(row 1\\) hold NaN or infinity"),
        (with_value(np.inf), "'b' \\(row 1\\) hold NaN or infinity"),
        (with_value(0.0), "'b' \\(row 1\\) hold zeros only"),
        (random_features(2), "of shape \\(2, 8\\) for 3 ids"),
        (random_features(3)[:, 0], "of shape \\(3,\\)"),
        (np.ones((3, 8), np.int64), "'features' is int64"),
    ],
)
def test_features_that_mean_nothing_are_refused(features: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read_features(write_features(tmp_path / "f.h5", ["a", "b", "c"], features))


def test_files_of_another_kind_are_named(tmp_path: Path) -> None:
    import h5py

    (tmp_path / "text.h5").write_text(json.dumps({}))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["ids"] = [1, 2]
    with h5py.File(tmp_path / "numbers.h5", "w") as file:
        file["ids"], file["features"] = [1, 2], random_features(2)
    for name, said in (
        ("gone", "no such feature file"),
        ("text", "cannot be read"),
        ("other", "no dataset 'features'"),
        ("numbers", "cannot be read"),
    ):
        with pytest.raises(DataError, match=f"{name}.*{said}|{said}.*{name}"):
            read_features(tmp_path / f"{name}.h5")
