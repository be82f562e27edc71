"""Caches that grow, and caches that are put together: each row of the source once, in the documented order."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from colour import Colour, Stopping, paint
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from motacli.cache import CacheOptions, FeatureCache, build_cache, encoding
from motacli.cache.asking import Layout, Shard
from motacli.cache.merging import merge_caches
from motacli.cache.repairing import repair_cache
from motacli.cache.verifying import verify_cache
from motacli.contracts import ImageRef
from motacli.errors import DataError, MotaError, UsageError
from motacli.runs import partial_path

APPEND = CacheOptions(append=True)


@pytest.fixture(scope="module")
def refs(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRef]:
    folder = tmp_path_factory.mktemp("pictures")
    return [paint(folder, f"{number:02}.png", (number * 5, 100, 255 - number)) for number in range(40)]


def build(path: Path, refs: list[ImageRef], **options: Any) -> FeatureCache:
    return build_cache(path, Colour(), refs, batch_size=4, options=CacheOptions(**options))  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- appending


@pytest.mark.parametrize("layout", ["single", "parts"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_new_comes_behind(refs: list[ImageRef], tmp_path: Path, layout: Layout, dtype: Any) -> None:
    out = tmp_path / "f.h5"
    build(out, refs[5:20], layout=layout, dtype=dtype)
    made = build_cache(out, Colour(), refs, batch_size=4, options=APPEND)  # type: ignore[arg-type]
    order = [*refs[5:20], *refs[:5], *refs[20:]]
    assert made.ids == tuple(ref.id for ref in order) and made.header.dtype == dtype
    assert np.array_equal(made.features(), build(tmp_path / "g.h5", order, dtype=dtype).features())
    picked = [refs[33].id, refs[2].id, refs[7].id, refs[33].id]
    assert np.array_equal(made.features(picked), [made.features([id])[0] for id in picked])
    before = out.stat().st_mtime_ns
    assert build(out, refs, append=True).ids == build(out, refs).ids == made.ids  # there is nothing left to do
    assert out.stat().st_mtime_ns == before and not partial_path(out).exists()


def test_an_interrupted_addition_leaves_the_file_as_it_was(refs: list[ImageRef], tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    build(out, refs[:10])
    before = out.read_bytes()
    stopping = Stopping(Colour(), "encode_image", 2, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        build_cache(out, stopping, refs, batch_size=4, options=APPEND)  # type: ignore[arg-type]
    assert out.read_bytes() == before and FeatureCache(out).ids == tuple(ref.id for ref in refs[:10])
    with pytest.raises(MotaError, match="lacks 30 of 40 pictures"):
        build(out, refs)
    assert build(out, refs, append=True).ids == tuple(ref.id for ref in refs)


def test_captions_are_not_added_to_a_file_without(refs: list[ImageRef], tmp_path: Path) -> None:
    from motacli.contracts import ImageText

    build(tmp_path / "f.h5", refs[:4])
    with pytest.raises(DataError, match="has no captions"):
        build_cache(tmp_path / "f.h5", Colour(), [ImageText(ref, "x") for ref in refs], options=APPEND)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- shards


@pytest.mark.parametrize("count", [1, 3, 7, 40])
def test_shards_are_the_whole(refs: list[ImageRef], tmp_path: Path, count: int) -> None:
    whole = build(tmp_path / "whole.h5", refs)
    shards = [build(tmp_path / f"{n}.h5", refs, shard=Shard(n, count)) for n in range(1, count + 1)]
    assert [id for shard in shards for id in shard.ids] == list(whole.ids)
    if count > 1:
        with pytest.raises(DataError, match=rf"shards are missing: '{count}/{count}'"):
            merge_caches([*(shard.path for shard in shards[:-1]), shards[0].path], tmp_path / "m.h5")
        merged = merge_caches([shard.path for shard in reversed(shards)], tmp_path / "m.h5")
        assert merged.ids == whole.ids and np.array_equal(merged.features(), whole.features())
        assert build(tmp_path / "m.h5", refs).header == merged.header  # finished, as far as the source is concerned


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="is no shard"):
        Shard.parse(text)


@pytest.mark.parametrize("total", [1, 10, 1000, 5000, 100_000])
def test_shards_end_between_batches_where_they_can(total: int) -> None:
    edges = [Shard(number, 5).rows(total, 8, 128) for number in range(1, 6)]
    assert edges[0][0] == 0 and edges[-1][1] == total
    assert all(one[1] == other[0] for one, other in pairwise(edges))
    unit = 128 if total >= 640 else 8 if total >= 40 else 1
    assert all(start % unit == 0 for start, _ in edges)


# ---------------------------------------------------------------------------------------------- merging


def test_other_files_are_merged_as_given(refs: list[ImageRef], tmp_path: Path) -> None:
    one, other = build(tmp_path / "a.h5", refs[30:]), build(tmp_path / "b.h5", refs[:10], layout="parts")
    merged = merge_caches([one.path, other.path], tmp_path / "m.h5")
    assert merged.ids == one.ids + other.ids and verify_cache(merged.path).problems == ()
    with pytest.raises(DataError, match=r"'00\.png' is in .*b\.h5 and in .*m\.h5"):
        merge_caches([other.path, merged.path], tmp_path / "n.h5")
    with pytest.raises(MotaError, match="exists already"):
        merge_caches([one.path, other.path], tmp_path / "m.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5", "b.h5.parts", "m.h5"]


def test_files_of_different_making_are_not_merged(refs: list[ImageRef], tmp_path: Path) -> None:
    class Other(Colour):
        def fingerprint(self) -> str:
            return "other"

        def fingerprint_parts(self) -> dict[str, str]:
            return {"weights": "w1", "preprocess": "clip"}

    class Another(Other):
        def fingerprint(self) -> str:
            return "another"

        def fingerprint_parts(self) -> dict[str, str]:
            return {"weights": "w2", "preprocess": "clip"}

    one = build_cache(tmp_path / "a.h5", Other(), refs[:4])  # type: ignore[arg-type]
    other = build_cache(tmp_path / "b.h5", Another(), refs[4:])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"different backbones.*what differs: weights \(w1, not w2\)$"):
        merge_caches([one.path, other.path], tmp_path / "m.h5")
    half = build(tmp_path / "c.h5", refs[:4], dtype="float16")
    with pytest.raises(DataError, match="differ in dtype: float32 and float16"):
        merge_caches([build(tmp_path / "d.h5", refs[4:]).path, half.path], tmp_path / "m.h5")


# ---------------------------------------------------------------------------------------------- repair


@pytest.mark.parametrize("layout", ["single", "parts"])
def test_what_is_damaged_is_dropped_and_made_again(
    refs: list[ImageRef], tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motacli.cache import columns

    monkeypatch.setattr(columns, "BLOCK_ROWS", 8)
    out = tmp_path / "f.h5"
    whole = build(out, refs, layout=layout).features([ref.id for ref in refs])
    assert repair_cache(out).dropped == 0
    damaged = out if layout == "single" else next((tmp_path / "f.h5.parts").iterdir())
    with h5py.File(damaged, "r+") as file:
        file["features"][11] = 0.25
    found = verify_cache(out).problems
    assert found == ("rows 8 to 15 of 'features' do not match their checksum",)
    with pytest.raises(DataError, match=r"rows 8 to 15 .*mota cache repair"):
        FeatureCache(out)
    fixed = repair_cache(out)
    assert (fixed.kept, fixed.dropped) == (32, 8) and verify_cache(out).problems == ()
    made = build(out, refs, append=True)
    assert np.array_equal(made.features([ref.id for ref in refs]), whole)
    assert made.ids[-8:] == tuple(ref.id for ref in refs[8:16]) and (tmp_path / "f.h5.damaged").exists()


def test_damaged_parts_are_made_again(refs: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PART_ROWS", 8)
    out = tmp_path / "f.h5"
    with pytest.raises(KeyboardInterrupt):
        build_cache(out, Stopping(Colour(), "encode_image", 7, KeyboardInterrupt()), refs, batch_size=4)  # type: ignore[arg-type]
    second = sorted(partial_path(out).glob("*-images-*"))[1]
    second.write_bytes(second.read_bytes()[:-100])
    (problem,) = verify_cache(out).problems
    assert second.name in problem
    fixed = repair_cache(out)
    assert (fixed.kept, fixed.dropped) == (20, 8)
    assert np.array_equal(build(out, refs).features(), build(tmp_path / "g.h5", refs).features())


def test_attributes_that_were_changed_are_not_trusted(refs: list[ImageRef], tmp_path: Path) -> None:
    out = build(tmp_path / "f.h5", refs).path
    with h5py.File(out, "r+") as file:
        file.attrs["fingerprint"] = "another"
    assert verify_cache(out).problems == ("attributes or checksums do not match their checksum",)
    with pytest.raises(DataError, match="cannot be trusted"):
        repair_cache(out)


# ---------------------------------------------------------------------------------------------- any order of events


class Life(RuleBasedStateMachine):
    """A source that grows, builders that are interrupted or lost, and a cache that has to keep up."""

    folder: Path
    pictures: list[ImageRef]

    @initialize(layout=st.sampled_from(["single", "parts"]), first=st.integers(1, 12))
    def begin(self, layout: Layout, first: int) -> None:
        self.turn = getattr(Life, "turns", 0) + 1
        Life.turns = self.turn  # type: ignore[attr-defined]
        self.path = self.folder / f"{self.turn}.h5"
        self.layout, self.known, self.encoded = layout, first, first
        self.order: list[str] = []
        self.under_way = 0

    @rule(more=st.integers(1, 9))
    @precondition(lambda self: not self.under_way)
    def grow(self, more: int) -> None:
        self.known = min(self.known + more, len(self.pictures))

    @rule(after=st.integers(0, 5))
    def crash(self, after: int) -> None:
        before = self.path.read_bytes() if self.path.exists() else b""
        try:
            self._build(Stopping(Colour(), "encode_image", after, KeyboardInterrupt()))
        except KeyboardInterrupt:
            self.under_way = 1
            assert (self.path.read_bytes() if self.path.exists() else b"") == before
        else:
            self._finished()

    @rule()
    def power_cut(self) -> None:
        """What was not flushed is gone: the last line is cut off, and a part's file was never renamed."""
        work = partial_path(self.path)
        if (manifest := work / "manifest.jsonl").exists():
            os.truncate(manifest, max(0, manifest.stat().st_size - 7))

    @rule()
    def resume(self) -> None:
        self._build(Colour())
        self._finished()

    @rule()
    @precondition(lambda self: len(self.order) > 1 and not self.under_way)
    def merge(self) -> None:
        """Split in two, and merge: the same rows in the same order."""
        place = {ref.id: ref for ref in self.pictures}
        refs = [place[id] for id in self.order]
        cut = len(refs) // 2
        halves = [self.path.with_suffix(f".{name}.h5") for name in "ab"]
        for half, some in zip(halves, (refs[:cut], refs[cut:]), strict=True):
            build(half, some)
        merged = merge_caches(halves, self.path.with_suffix(".m.h5"))
        assert list(merged.ids) == self.order
        for file in (*halves, merged.path):
            file.unlink()

    @invariant()
    def rows_are_right(self) -> None:
        if not getattr(self, "order", None):
            return
        cache = FeatureCache(self.path)
        assert list(cache.ids) == self.order
        numbers = [int(id[:2]) for id in cache.ids]
        assert np.allclose(cache.features()[:, 0], np.array(numbers) * 5 / 255)

    def _build(self, backbone: Any) -> None:
        options = CacheOptions(layout=self.layout, append=True)
        build_cache(self.path, backbone, self.pictures[: self.known], batch_size=3, options=options)

    def _finished(self) -> None:
        self.under_way = 0
        kept = set(self.order)
        self.order += [ref.id for ref in self.pictures[: self.known] if ref.id not in kept]


def test_any_order_of_events(refs: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setattr(encoding, "PART_ROWS", 6)
    Life.folder, Life.pictures = tmp_path, refs
    quick = settings(max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Life, settings=quick)
