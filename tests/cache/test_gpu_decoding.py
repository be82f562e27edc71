"""Decoding on a GPU, as far as it can be tested without one: torchvision's CPU decoder stands in for nvJPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from colour import Portable
from open_clip.transform import image_transform
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from motacli.cache import CacheOptions, FeatureCache, build_cache, decoders
from motacli.cache.describing import describe
from motacli.cache.gpu_decoding import GpuDecoder, on_gpu
from motacli.cache.tensor_preparation import tensor_preparation
from motacli.cli import main
from motacli.contracts import ImageRef
from motacli.datasets import open_pictures
from motacli.errors import DataError, UsageError
from motacli.plugins import PluginHost
from motacli.preprocessing import PREPROCESSINGS, Preparation
from motacli.tiny.clip import load_tiny

STD = 0.26
"""About what CLIP divides by."""


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth noise, as photographs are."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def as_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def backbone_with(preparation: Any) -> Any:
    return SimpleNamespace(name="some", preparation=preparation, device="cpu")


@pytest.mark.parametrize("before", ["clip", "targetpad"])
@pytest.mark.parametrize(("mode", "most", "mean"), [("shortest", 1, 0.01), ("squash", 2, 0.3)])
@pytest.mark.parametrize("size", [(640, 480), (200, 600), (333, 641), (224, 224), (90, 70)])
def test_tensors_are_prepared_as_pictures_are(
    before: str, mode: Any, most: float, mean: float, size: tuple[int, int]
) -> None:
    transform = image_transform(224, is_train=False, resize_mode=mode, mean=(0.5, 0.5, 0.5), std=(STD, STD, STD))
    preparation, image = Preparation(PREPROCESSINGS[before], transform), photo(*size)
    wanted, found = preparation(image), tensor_preparation(backbone_with(preparation))(as_tensor(image))
    steps = (wanted - found).abs() * STD * 255
    assert found.shape == wanted.shape == (3, 224, 224) and steps.max() < most + 0.01 and steps.mean() < mean


def test_a_backbone_that_prepares_in_a_way_of_its_own_is_refused() -> None:
    longest = Preparation(PREPROCESSINGS["clip"], image_transform(64, is_train=False, resize_mode="longest"))
    for preparation, said in (
        (longest, "prepares pictures by ResizeKeepRatio"),
        (Portable.preparation, "by which steps"),
    ):
        with pytest.raises(UsageError, match=f"'some'.* {said}") as raised:
            tensor_preparation(backbone_with(preparation))
        assert "--decode threads" in raised.value.hint


def test_without_a_gpu_nothing_is_begun(tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    photo(16, 16).save(tmp_path / "in" / "a.jpg")
    argv = ["cache", str(tmp_path / "in"), "-o", str(tmp_path / "f.h5"), "--decode", "gpu", "--device", "cpu"]
    assert main(argv, host=host) == 2
    assert "--decode gpu needs a backbone on a CUDA GPU, and 'tiny' is on cpu" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["in"]


class Recording:
    """Torchvision's decoder; notes what it was given, and refuses files with a certain comment."""

    def __init__(self) -> None:
        self.decoded: list[int] = []

    def __call__(self, files: Sequence[Tensor]) -> Sequence[Tensor]:
        if any(b"refuse me" in file.numpy().tobytes() for file in files):
            raise RuntimeError("nvJPEG says no")
        self.decoded += [len(file) for file in files]
        return [decode_jpeg(file, mode=ImageReadMode.RGB) for file in files]


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


ROTATED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
WHOLE = jpeg(photo(80, 60))
FILES: dict[str, bytes] = {
    "00-plain.jpg": WHOLE,
    "01-empty.jpg": b"",
    "02-grey.jpg": jpeg(photo(60, 80).convert("L")),
    "03-rotated.jpg": jpeg(photo(200, 100, 3), exif=ROTATED),
    "04-png.jpg": b"",
    "05-cmyk.jpg": jpeg(photo(80, 60, 5).convert("CMYK")),
    "06-truncated.jpg": WHOLE[: len(WHOLE) // 2],
    "07-refused.jpg": jpeg(photo(80, 60, 7), comment=b"refuse me"),
    "08-long.jpg": jpeg(Image.new("RGB", (3000, 2))),
    "09-rgb.jpg": jpeg(photo(80, 60, 9), keep_rgb=True),
    "10-padded.jpg": jpeg(photo(80, 60, 10)) + bytes(7),
    "11-text.jpg": b"not found",
}
ON_GPU = ("00-plain.jpg", "02-grey.jpg", "03-rotated.jpg", "10-padded.jpg")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    photo(80, 60, 4).save(folder / "04-png.jpg", "PNG")
    return folder


@pytest.mark.parametrize("workers", [0, 3])
def test_each_picture_takes_the_path_that_suits_it(workers: int, pictures: Path, tiny_backbone: Any) -> None:
    recording = Recording()
    decoder = GpuDecoder(tensor_preparation(tiny_backbone), tiny_backbone.preprocess, recording, workers)
    rows = [(ref, ref.id) for ref in open_pictures(pictures)]
    rows.append((ImageRef("boxed", pictures / "00-plain.jpg", (10, 10, 30, 30)), None))
    found = list(decoder.decoded(rows, 8))
    wanted = list(decoders.in_threads(tiny_backbone, 0)(rows, 8))
    assert recording.decoded == [len(FILES[name]) for name in ON_GPU]
    for one, other in zip(found, wanted, strict=True):
        assert (one.ref, one.caption, one.broken) == (other.ref, other.caption, other.broken)
        if one.pixels is None or other.pixels is None:
            assert one.pixels is other.pixels
        elif one.ref.id in ON_GPU:
            assert not torch.equal(one.pixels, other.pixels)
            assert torch.allclose(one.pixels, other.pixels, atol=4 / 255 / STD)
        else:
            assert torch.equal(one.pixels, other.pixels)
    broken = {"01-empty.jpg", "06-truncated.jpg", "08-long.jpg", "11-text.jpg"}
    assert {one.ref.id for one in found if one.error is not None} == broken


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_cannot_decode_is_told_at_once(tiny_backbone: Any) -> None:
    """Torchvision says that there is no CUDA, as it would without nvJPEG."""
    backbone = SimpleNamespace(
        name="some", device="cuda", preparation=tiny_backbone.preparation, preprocess=tiny_backbone.preprocess
    )
    with pytest.raises(UsageError, match="cannot decode JPEGs on this GPU"):
        on_gpu(backbone, 0)  # type: ignore[arg-type]


def test_a_cache_says_that_its_pictures_were_decoded_so(
    pictures: Path, tmp_path: Path, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stand_in(backbone: Any, workers: int) -> Any:
        return GpuDecoder(tensor_preparation(backbone), backbone.preprocess, Recording(), workers).decoded

    monkeypatch.setitem(decoders.DECODERS, "gpu", stand_in)  # type: ignore[arg-type]
    options = CacheOptions(strict=False, decode="gpu")
    plain = build_cache(
        tmp_path / "plain.h5", tiny_backbone, open_pictures(pictures), options=CacheOptions(strict=False)
    )
    found = build_cache(tmp_path / "f.h5", tiny_backbone, open_pictures(pictures), options=options)
    assert found.ids == plain.ids and describe(found.path).computed == {"decode": "gpu"}
    cosines = (found.features() * plain.features()).sum(1)
    cosines /= np.linalg.norm(found.features(), axis=1) * np.linalg.norm(plain.features(), axis=1)
    assert cosines.min() > 0.99 and not np.array_equal(found.features(), plain.features())
    with pytest.raises(DataError, match=r"computed in another way: decode \(gpu, not cpu\)"):
        build_cache(found.path, tiny_backbone, open_pictures(pictures), options=CacheOptions(append=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(pictures: Path, tmp_path: Path) -> None:
    backbone = load_tiny(device="cuda")
    for decode in ("threads", "gpu"):
        options = CacheOptions(strict=False, decode=decode)  # type: ignore[arg-type]
        build_cache(tmp_path / decode, backbone, open_pictures(pictures), workers=2, options=options)
    plain, found = FeatureCache(tmp_path / "threads"), FeatureCache(tmp_path / "gpu")
    assert found.ids == plain.ids and np.allclose(found.features(), plain.features(), atol=0.05)
