"""Autocast and torch.compile: recorded; what changes features beyond rounding never mixes with what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from colour import Colour, paint

import motacli.autocast
from motacli.cache import CacheOptions, FeatureCache, build_cache, encoding
from motacli.cache.describing import describe
from motacli.cache.merging import merge_caches
from motacli.contracts import EvalUnit, ImageText
from motacli.errors import DataError, UsageError
from motacli.evaluating import build_unit_caches
from motacli.runs import partial_path

HALF = CacheOptions(autocast="bf16")
COMPILED = CacheOptions(compile=True)


@pytest.fixture
def rows(tmp_path: Path) -> list[ImageText]:
    refs = [paint(tmp_path / "in", f"{number:02}.png", (9 * number, 200, 255 - 9 * number)) for number in range(12)]
    return [ImageText(ref, f"picture {ref.id}") for ref in refs]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """torch.compile without a compiler behind it; counts what it traced."""
    traced: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        traced.append(len(inputs))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    yield traced
    torch._dynamo.reset()


class Product(Colour):
    """A colour times one: what autocast rounds."""

    def encode_image(self, pixels):  # type: ignore[no-untyped-def]
        return super().encode_image(pixels) @ torch.eye(3)

    def encode_text(self, texts):  # type: ignore[no-untyped-def]
        return (super().encode_text(texts) / 3) @ torch.eye(3)


def build(path: Path, rows: Any, options: CacheOptions, backbone: Any = None) -> FeatureCache:
    return build_cache(path, backbone or Product(), rows, batch_size=2, options=options)


def rounded(features: np.ndarray) -> np.ndarray:
    return torch.from_numpy(features).bfloat16().float().numpy()


def test_autocast_computes_pictures_and_captions_in_half_and_says_so(rows: list[ImageText], tmp_path: Path) -> None:
    plain, half = build(tmp_path / "plain.h5", rows, CacheOptions()), build(tmp_path / "half.h5", rows, HALF)
    for name in ("features", "text_features"):
        wanted = getattr(plain, name)()
        assert np.array_equal(getattr(half, name)(), rounded(wanted)) and not np.array_equal(wanted, rounded(wanted))
    assert describe(half.path).computed == {"autocast": "bf16"} and not describe(plain.path).computed
    half.require(Product())  # type: ignore[arg-type]
    with h5py.File(plain.path) as one, h5py.File(half.path) as other:
        assert set(other.attrs) - set(one.attrs) == {"computed"}
        assert json.loads(other.attrs["computed"]) == {"autocast": "bf16"}


def test_rows_computed_in_different_ways_never_mix(rows: list[ImageText], tmp_path: Path) -> None:
    half, rest = build(tmp_path / "half.h5", rows[:6], HALF), build(tmp_path / "rest.h5", rows[6:], CacheOptions())
    for options in (CacheOptions(append=True), CacheOptions(), CacheOptions(autocast="fp16", append=True)):
        said = rf"half\.h5 were computed in another way: autocast \(bf16, not {options.autocast}\)"
        with pytest.raises(DataError, match=said):
            build(half.path, rows, options)
    with pytest.raises(DataError, match=r"in different ways: autocast \(bf16, not off\)"):
        merge_caches([half.path, rest.path], tmp_path / "both.h5")
    grown = build(half.path, rows, CacheOptions(autocast="bf16", append=True))
    assert len(grown) == 12 and grown.header.computed == {"autocast": "bf16"}
    assert np.array_equal(grown.features(), rounded(build(tmp_path / "f.h5", rows, CacheOptions()).features()))


def test_an_unfinished_cache_goes_on_as_it_was_begun(
    rows: list[ImageText], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "PART_ROWS", 2)
    out = tmp_path / "f.h5"
    with pytest.raises(KeyboardInterrupt):
        build(out, rows, HALF, Interrupted(2))
    assert describe(out).computed == {"autocast": "bf16"}
    with pytest.raises(DataError, match=r"begun to be computed in another way: autocast \(bf16, not off\)"):
        build(out, rows, CacheOptions())
    assert build(out, rows, HALF).header.computed == {"autocast": "bf16"}


class Interrupted(Product):
    """Is stopped after some batches."""

    def __init__(self, batches: int) -> None:
        self.left = [batches]

    def encode_image(self, pixels):  # type: ignore[no-untyped-def]
        self.left[0] -= 1
        if self.left[0] < 0:
            raise KeyboardInterrupt
        return super().encode_image(pixels)


def test_units_of_a_benchmark_do_not_mix_either(rows: list[ImageText], tmp_path: Path) -> None:
    units = [
        EvalUnit(name, "b", "val", (), (), {row.image.id: row.image for row in some}, ())
        for name, some in {"one": rows[:4], "two": rows[4:]}.items()
    ]
    with pytest.raises(KeyboardInterrupt):
        build_unit_caches(tmp_path / "f", Interrupted(3), units, batch_size=2, options=HALF)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"one\.h5 were computed in another way"):
        build_unit_caches(tmp_path / "f", Product(), units, batch_size=2, resume=True)  # type: ignore[arg-type]
    made = build_unit_caches(tmp_path / "f", Product(), units, batch_size=2, resume=True, options=HALF)  # type: ignore[arg-type]
    assert [one.header.computed for one in made] == [{"autocast": "bf16"}] * 2


def test_a_device_without_that_autocast_is_refused(
    rows: list[ImageText], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motacli.autocast.torch, "autocast", lambda kind, dtype: torch.no_grad())  # it warns, no more
    with pytest.raises(UsageError, match="--autocast bf16 does not work on cpu"):
        build(tmp_path / "f.h5", rows, HALF)
    assert not list(tmp_path.glob("f.h5*"))


def test_compiling_is_recorded_and_may_begin_at_any_time(
    rows: list[ImageText], tmp_path: Path, eager: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "PART_ROWS", 2)
    out = tmp_path / "f.h5"
    with pytest.raises(KeyboardInterrupt):
        build(out, rows[:8], CacheOptions(), Interrupted(2))
    assert not eager
    found = build(out, rows[:8], COMPILED)
    assert eager and found.header.computed == {"compile": "yes"} and not partial_path(out).exists()
    wanted = build(tmp_path / "g.h5", rows, CacheOptions())
    assert np.allclose(found.features(), wanted.features()[:8], atol=1e-6)
    grown = build(out, rows, CacheOptions(append=True))
    assert len(grown) == 12 and grown.header.computed == {"compile": "yes"}


def test_where_no_compiler_works_nothing_is_begun(
    rows: list[ImageText], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backend(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    with pytest.raises(UsageError, match=r"torch\.compile does not work here: .*no compiler here") as raised:
        build(tmp_path / "f.h5", rows, COMPILED)
    assert "--compile" in raised.value.hint and not list(tmp_path.glob("f.h5*"))
