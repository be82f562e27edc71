"""Readers: from any process, in any order, without much memory, and only for the backbone that made the features."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from colour import Colour, paint
from forked import server
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from motacli.cache import CacheOptions, FeatureCache, build_cache, encoding, gathering
from motacli.cache.columns import read_values
from motacli.errors import DataError


@pytest.fixture(scope="module", params=["single", "parts", "float16"])
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    folder = tmp_path_factory.mktemp("cache")
    refs = [paint(folder / "in", f"{number:03}.png", (number * 2, 7, number)) for number in range(100)]
    options = CacheOptions(layout="parts") if request.param == "parts" else CacheOptions()
    if request.param == "float16":
        options = CacheOptions(dtype="float16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "PART_ROWS", 16)
        return build_cache(folder / "f.h5", Colour(), refs, batch_size=8, options=options)  # type: ignore[arg-type]


class Rows(Dataset[Any]):
    """A data set over a reader that was used before the workers were started."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        cache.features([cache.ids[3], cache.ids[1]])

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.cache.features([self.cache.ids[row], self.cache.ids[0]])


def worked(layout: str, method: str, *marks: Any) -> Any:
    """A case that is left out where processes are not started that way."""
    missing = pytest.mark.skipif(method not in multiprocessing.get_all_start_methods(), reason=f"no {method}")
    return pytest.param(layout, method, marks=(missing, *marks))


@pytest.mark.parametrize(
    ("cache", "method"),
    [
        *(worked(layout, "fork") for layout in ("single", "parts", "float16")),
        worked("parts", "forkserver"),
        *(worked(layout, "spawn", pytest.mark.thorough) for layout in ("single", "parts", "float16")),
    ],
    indirect=["cache"],
)
def test_workers_read_what_we_read(cache: FeatureCache, method: str) -> None:
    context = server() if method == "forkserver" else method  # quick, and pickles as spawn does
    loader = DataLoader(Rows(cache), batch_size=25, num_workers=2, multiprocessing_context=context)
    found = np.concatenate([batch[:, 0].numpy() for batch in loader])
    assert np.array_equal(found, cache.features())


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.integers(0, 99), min_size=1, max_size=30))
def test_rows_come_as_they_are_asked_for(cache: FeatureCache, rows: list[int]) -> None:
    assert np.array_equal(cache.features([cache.ids[row] for row in rows]), cache.features()[rows])


def test_rows_are_found_where_hdf5_does_not_tell_their_place(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [cache.ids[row] for row in (70, 3, 70, 99)]
    direct = cache.features(asked)
    with h5py.File(cache.path) as file:
        assert gathering.runs_of(file["features"], cache.path) is not None
    monkeypatch.setattr(gathering, "_plain_runs", lambda dataset: None)
    assert np.array_equal(FeatureCache(cache.path).features(asked), direct)


def test_blocks_are_the_whole(cache: FeatureCache) -> None:
    blocks = list(cache.blocks(size=30))
    assert [len(block) for block in blocks] == [30, 30, 30, 10] and all(block.dtype == np.float32 for block in blocks)
    assert np.array_equal(np.concatenate(blocks), cache.features())


def test_three_lines_of_plain_h5py(cache: FeatureCache) -> None:
    code = (
        "import h5py, sys\n"
        "with h5py.File(sys.argv[1]) as file:\n"
        "    ids, features = file['ids'].asstr()[:], file['features'][:]\n"
        "print(ids[5], features[5].tolist(), features.shape)"
    )
    said = subprocess.run([sys.executable, "-c", code, cache.path], capture_output=True, text=True, check=True).stdout
    with h5py.File(cache.path) as file:
        stored = np.asarray(read_values(file, "features", 5, 6))[0].tolist()
    assert said.strip() == f"005.png {stored} (100, 3)"


def test_the_attributes_tell_what_there_is_to_know(cache: FeatureCache) -> None:
    with h5py.File(cache.path) as file:
        about = dict(file.attrs)
        assert file["features"].compression is None
        rows = file["features"].chunks
    assert about["format"] == 2 and about["complete"] and about["count"] == 100 and not about["normalised"]
    assert about["backbone"] == "colour" and about["fingerprint"] == Colour().fingerprint()
    assert '"torch"' in about["versions"] and len(about["source"]) == len(about["sha256"]) == 64
    assert rows is None or rows == (100, 3)


def test_chunks_are_half_a_megabyte_of_rows(tmp_path: Path) -> None:
    from motacli.cache.columns import create_column
    from motacli.cache.header import Header

    with h5py.File(tmp_path / "f.h5", "w") as file:
        column = create_column(file, "features", Header("x", "y", 768, dtype="float16", count=100_000))
        assert column.chunks == (341, 768) and 256 << 10 <= 341 * 768 * 2 <= 1 << 20


def test_what_differs_is_named(tmp_path: Path, tiny_backbone: Any) -> None:
    from motacli.tiny.clip import load_tiny

    made = build_cache(tmp_path / "f.h5", tiny_backbone, [paint(tmp_path, "a.png", (1, 2, 3))])
    made.require(load_tiny())
    with pytest.raises(DataError, match=r"what differs: preprocess \(clip, not targetpad\) \(give the --model"):
        made.require(load_tiny(preprocessing="targetpad"))
    other = load_tiny()
    next(other.model.visual.parameters()).data.add_(1)
    with pytest.raises(DataError, match=r"what differs: weights \([0-9a-f]{16}, not [0-9a-f]{16}\) \(give"):
        made.require(other)


def test_numbers_too_large_for_the_type_are_refused(tmp_path: Path) -> None:
    class Large(Colour):
        def encode_image(self, pixels):  # type: ignore[no-untyped-def]
            return super().encode_image(pixels) * 1e6

    with pytest.raises(DataError, match=r"too large for float16.*--dtype fp32"):
        build_cache(
            tmp_path / "f.h5",
            Large(),  # type: ignore[arg-type]
            [paint(tmp_path, "a.png", (99, 99, 99))],
            options=CacheOptions(dtype="float16"),
        )
