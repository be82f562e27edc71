"""To other tools and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motacli.cache import FeatureCache, build_cache
from motacli.cache.exporting import export_cache
from motacli.cache.importing import import_features
from motacli.cache.verifying import verify_cache
from motacli.datasets import open_source
from motacli.errors import DataError, MotaError, UsageError
from motacli.tiny.make import make_pairs


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Any) -> FeatureCache:
    folder = tmp_path_factory.mktemp("exchange")
    make_pairs(folder / "in", seed=3, count=20)
    return build_cache(folder / "f.h5", tiny_backbone, open_source(folder / "in"))


def test_npy_there_and_back(cache: FeatureCache, tmp_path: Path, tiny_backbone: Any) -> None:
    files = export_cache(cache.path, tmp_path / "x.npy")
    assert [file.name for file in files] == ["x.npy", "x.text.npy", "x.jsonl"]
    assert np.array_equal(np.load(files[0]), cache.features())
    assert np.array_equal(np.load(files[1]), cache.text_features())
    records = [json.loads(line) for line in files[2].read_text().splitlines()]
    assert [record["caption"] for record in records] == list(cache.captions())
    back = import_features(files[0], tmp_path / "b.h5", tiny_backbone, ids=files[2])
    assert back.ids == cache.ids and np.array_equal(back.features(), cache.features()) and not back.normalised
    back.require(tiny_backbone)
    assert verify_cache(back.path, tiny_backbone).problems == ()
    with pytest.raises(MotaError, match="exists already"):
        export_cache(cache.path, tmp_path / "x.npy")


def test_parquet(cache: FeatureCache, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    (file,) = export_cache(cache.path, tmp_path / "x.parquet")
    table = pq.read_table(file)
    assert table.column("ids").to_pylist() == list(cache.ids)
    assert np.array_equal(np.array(table.column("features").to_pylist(), np.float32), cache.features())
    assert table.column_names == ["ids", "captions", "features", "text_features"]


def test_safetensors(cache: FeatureCache, tmp_path: Path) -> None:
    from safetensors import safe_open

    (file,) = export_cache(cache.path, tmp_path / "x.safetensors")
    with safe_open(file, "np") as tensors:
        assert np.array_equal(tensors.get_tensor("features"), cache.features())
        assert tuple(json.loads(tensors.metadata()["ids"])) == cache.ids


def test_other_endings_are_refused(cache: FeatureCache, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.npy, \.parquet, \.safetensors"):
        export_cache(cache.path, tmp_path / "x.csv")


def test_a_folder_of_clip_retrieval(tmp_path: Path, tiny_backbone: Any) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = np.random.default_rng(0).normal(size=(30, 128)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for name in ("img_emb", "metadata"):
        (tmp_path / "in" / name).mkdir(parents=True)
    for number, place in enumerate((9, 10)):  # by name, 10 would come before 9
        some = slice(number * 15, number * 15 + 15)
        np.save(tmp_path / "in" / "img_emb" / f"img_emb_{place}.npy", rows[some].astype(np.float16))
        ids = [f"{row:03}.jpg" for row in range(30)[some]]
        pq.write_table(pa.table({"image_path": ids}), tmp_path / "in" / "metadata" / f"metadata_{place}.parquet")
    found = import_features(tmp_path / "in", tmp_path / "f.h5", tiny_backbone)
    assert found.ids == tuple(f"{row:03}.jpg" for row in range(30)) and found.normalised
    assert found.header.dtype == "float16" and np.allclose(found.features(), rows, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "ids", "said"),
    [
        ((3, 128), ["a", "b"], "3 rows for 2 ids"),
        ((2, 64), ["a", "b"], "features of 64 numbers, and those of 'tiny' have 128"),
        ((2, 128), ["a", "a"], "ids occur more than once: 'a'"),
    ],
)
def test_what_does_not_fit_is_refused(
    shape: tuple[int, int], ids: list[str], said: str, tmp_path: Path, tiny_backbone: Any
) -> None:
    np.save(tmp_path / "x.npy", np.ones(shape, np.float32))
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    with pytest.raises(DataError, match=said):
        import_features(tmp_path / "x.npy", tmp_path / "f.h5", tiny_backbone, tmp_path / "ids.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ids.txt", "x.npy"]


def test_nan_is_refused_on_the_way_in_and_found_inside(tmp_path: Path, tiny_backbone: Any, cache: FeatureCache) -> None:
    rows = np.ones((2, 128), np.float32)
    rows[1, 5] = np.nan
    np.save(tmp_path / "x.npy", rows)
    (tmp_path / "ids.json").write_text('["a", "b"]')
    with pytest.raises(DataError, match="rows 0 to 1 hold NaN"):
        import_features(tmp_path / "x.npy", tmp_path / "f.h5", tiny_backbone, tmp_path / "ids.json")
    from motacli.cache.header import Header
    from motacli.cache.putting_together import put_together

    rows[0] = 0
    header = Header("x", "y", 128, count=2)
    put_together(tmp_path / "g.h5", header, False, lambda names: [{"ids": ["a", "a"], "features": rows}])
    found = verify_cache(tmp_path / "g.h5", tiny_backbone)
    assert (found.not_finite, found.duplicates) == (1, 1)
    said = " | ".join(found.problems)
    for words in ("made by another backbone, 'x' (y), not 'tiny'", "1 ids occur", "NaN", "1 rows are all zeros"):
        assert words in said
