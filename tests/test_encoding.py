"""Batches through a backbone: order, once each, errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from motacli.contracts import ImageRef
from motacli.encoding import batch_sizes, encode_images, encode_texts, image_batches, unique_rows
from motacli.errors import DataError, MotaError


class Grey:
    """A backbone whose features are a picture's brightness or a text's length; it notes what it was given."""

    joint_dim, device = 2, torch.device("cpu")

    def __init__(self) -> None:
        self.decoded: list[int] = []
        self.batches: list[list[str]] = []

    def preprocess(self, image: Image.Image) -> Tensor:
        value = image.getpixel((0, 0))
        assert isinstance(value, tuple)
        self.decoded.append(int(value[0]))
        return torch.full((3, 1, 1), float(value[0]))

    def encode_image(self, pixels: Tensor) -> Tensor:
        return torch.stack([pixels[:, 0, 0, 0], torch.ones(len(pixels))], dim=1)

    def tokenize(self, text: str) -> list[int]:
        return list(text.encode())

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        self.batches.append(list(texts))
        return torch.tensor([[float(len(text)), 0.5] for text in texts], dtype=torch.float64)


@pytest.fixture
def refs(tmp_path: Path) -> list[ImageRef]:
    for value in range(9):
        Image.new("RGB", (2, 2), (value, value, value)).save(tmp_path / f"{value}.png")
    return [ImageRef(str(value), tmp_path / f"{value}.png") for value in range(9)]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_features_come_in_the_order_asked_and_pictures_are_read_once(
    workers: int, batch_size: int, refs: list[ImageRef]
) -> None:
    backbone, asked = Grey(), [5, 0, 8, 5, 3, 0, 7]
    found = encode_images(backbone, [refs[i] for i in asked], batch_size, workers)  # type: ignore[arg-type]
    assert found.dtype == np.float32 and found[:, 0].tolist() == asked
    assert sorted(backbone.decoded) == [0, 3, 5, 7, 8]


def test_nothing_gives_no_rows() -> None:
    assert encode_images(Grey(), []).shape == (0, 2)  # type: ignore[arg-type]
    assert encode_texts(Grey(), []).shape == (0, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_picture_is_named(workers: int, refs: list[ImageRef]) -> None:
    refs[4].path.write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"cannot decode .*4\.png"):
        encode_images(Grey(), refs, 2, workers)  # type: ignore[arg-type]


def test_decoding_ends_when_the_iterator_is_closed(refs: list[ImageRef]) -> None:
    backbone = Grey()
    batches = image_batches(backbone, refs * 20, batch_sizes(180, 2), workers=2)  # type: ignore[arg-type]
    assert next(batches)[:, 0].tolist() == [0, 1]
    batches.close()
    seen = len(backbone.decoded)
    assert seen < 20
    assert list(batches) == []


def test_texts_are_batched_by_length_and_encoded_once() -> None:
    backbone = Grey()
    texts = ["aaaa", "b", "cc", "b", "ddd", "eeeee"]
    found = encode_texts(backbone, texts, batch_size=2)  # type: ignore[arg-type]
    assert found[:, 0].tolist() == [4, 1, 2, 1, 3, 5] and found.dtype == np.float32
    assert backbone.batches == [["eeeee", "aaaa"], ["ddd", "cc"], ["b"]]


def test_features_that_are_not_finite_are_refused(refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Grey()
    monkeypatch.setattr(backbone, "encode_image", lambda pixels: torch.full((len(pixels), 2), torch.nan))
    with pytest.raises(MotaError, match=r"not finite .*--precision fp32"):
        encode_images(backbone, refs)  # type: ignore[arg-type]


def test_sizes_and_rows() -> None:
    assert batch_sizes(7, 3) == [3, 3, 1] and batch_sizes(6, 3) == [3, 3] and batch_sizes(0, 3) == []
    items, rows = unique_rows(["b", "a", "b"])
    assert items == ["b", "a"] and rows.tolist() == [0, 1, 0]


def test_the_tiny_backbone_gives_the_same_features_in_batches_as_alone(tiny_backbone: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    refs = []
    for number in range(5):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        refs.append(ImageRef(str(number), tmp_path / f"{number}.png"))
    together = encode_images(tiny_backbone, refs, 5)
    alone = np.concatenate([encode_images(tiny_backbone, [ref]) for ref in refs])
    assert np.allclose(together, alone, atol=1e-4) and together.std(axis=0).max() > 1e-3
    texts = ["a red circle", "two big black squares with checks"]
    alone = np.concatenate([encode_texts(tiny_backbone, [text]) for text in texts])
    assert np.allclose(encode_texts(tiny_backbone, texts), alone, atol=1e-4)
