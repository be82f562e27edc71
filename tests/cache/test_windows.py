"""Batches: a picture that cannot be read moves none beyond its window, and whoever builds computes the same bits."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from colour import Colour, Stopping, paint
from torch import Tensor

from motacli.cache import CacheOptions, FeatureCache, build_cache, encoding
from motacli.cache.asking import Shard
from motacli.cache.batching import text_windows, windows
from motacli.cache.encoder import in_this_process
from motacli.cache.merging import merge_caches
from motacli.cache.pieces import Piece
from motacli.contracts import ImageText

PICTURES, BATCH, BROKEN = 100, 2, (3, 4, 40, 77)
LENIENT = CacheOptions(strict=False)


class Telling(Colour):
    """A row's feature tells which batch it was in."""

    def encode_image(self, pixels: Tensor) -> Tensor:
        return super().encode_image(pixels) + super().encode_image(pixels).mean(0)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[float(text[:3]), float("".join(t[:3] for t in texts)), 1.0] for text in texts])


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[ImageText]:
    folder = tmp_path_factory.mktemp("pictures")
    refs = [paint(folder, f"{n:03}.png", (n, 2 * n, 3 * n % 256)) for n in range(PICTURES)]
    for number in BROKEN:
        refs[number].path.write_bytes(b"")
    return [ImageText(ref, f"{n:03}{'x' * (n * 7 % 5)}") for n, ref in enumerate(refs)]


@pytest.fixture(scope="module")
def whole(rows: list[ImageText], tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return built(tmp_path_factory.mktemp("whole") / "f.h5", rows)


def built(path: Path, rows: list[ImageText], backbone: Any = None, **how: Any) -> FeatureCache:
    how = {"batch_size": BATCH, "options": LENIENT} | how
    return build_cache(path, backbone or Telling(), rows, **how)


def same(one: FeatureCache, other: FeatureCache) -> bool:
    columns = ((cache.ids, cache.captions()) for cache in (one, other))
    return (
        len(set(columns)) == 1
        and np.array_equal(one.features(), other.features())
        and np.array_equal(one.text_features(), other.text_features())
    )


def test_a_broken_picture_moves_no_other_window(rows: list[ImageText], whole: FeatureCache, tmp_path: Path) -> None:
    sound = built(tmp_path / "f.h5", [row for row in rows if int(row.caption[:3]) // 32 != 0])
    later = [id for id in whole.ids if int(id[:3]) >= 32]
    assert list(sound.ids) == later and len(whole) == PICTURES - len(BROKEN)
    assert np.array_equal(whole.features(later), sound.features())
    assert np.array_equal(whole.text_features(later), sound.text_features())
    batch_of_two = whole.features(["000.png", "001.png"]) - whole.features(["005.png", "002.png"])
    assert batch_of_two.any()  # or features would tell nothing


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_have_the_bits_of_the_whole(
    shards: int, rows: list[ImageText], whole: FeatureCache, tmp_path: Path
) -> None:
    made = [
        built(tmp_path / f"{n}.h5", rows, options=CacheOptions(strict=False, shard=Shard(n, shards)))
        for n in range(1, shards + 1)
    ]
    assert same(merge_caches([one.path for one in made], tmp_path / "all.h5"), whole)


@pytest.mark.parametrize("method", ["encode_image", "encode_text"])
@pytest.mark.parametrize("calls", [1, 10, 30])
def test_interruptions_change_no_bit(
    method: str, calls: int, rows: list[ImageText], whole: FeatureCache, tmp_path: Path
) -> None:
    path = tmp_path / "f.h5"
    with pytest.raises(KeyboardInterrupt):
        built(path, rows, Stopping(Telling(), method, calls, KeyboardInterrupt()))
    assert same(built(path, rows), whole)


class Disordered:
    """An engine whose pieces come in another order, as those of several workers do."""

    def __init__(self, backbone: Any, recipe: Any) -> None:
        self._encodes = in_this_process(backbone, recipe)
        self.computed = self._encodes.computed

    def pictures(self, *given: Any) -> Generator[Piece, None, None]:
        yield from mixed(self._encodes.pictures(*given))

    def captions(self, *given: Any) -> Generator[Piece, None, None]:
        yield from mixed(self._encodes.captions(*given))


def mixed(pieces: Generator[Piece, None, None]) -> list[Piece]:
    found = list(pieces)
    return [found[n] for n in np.random.default_rng(0).permutation(len(found))]


def test_pieces_may_come_in_any_order(
    rows: list[ImageText], whole: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "PART_ROWS", 20)
    made = built(tmp_path / "f.h5", rows, engine=Disordered, options=CacheOptions(strict=False, layout="parts"))
    assert same(made, whole)
    parts = sorted((tmp_path / "f.h5.parts").glob("*-images-*"))
    assert len(parts) < 16  # neighbours were joined: of 50 batches


def test_windows() -> None:
    assert list(windows([(0, 70), (90, 91)], 32)) == [(0, 32), (32, 64), (64, 70), (90, 91)]
    assert list(windows([(5, 32), (40, 96)], 32)) == [(5, 32), (40, 64), (64, 96)]
    whole = text_windows((0, 100), 32, [3, 4, 40, 77], [(0, 96)])
    assert list(whole) == [(0, 30), (30, 61), (61, 92), (92, 96)]
    gaps = text_windows((64, 100), 32, range(64, 96), [(1, 4)])
    assert list(gaps) == [(1, 4)]
