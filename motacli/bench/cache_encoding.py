"""Encoding pictures into a cache, beside a plain `DataLoader` loop that collects features in a list."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from motacli.backbones import OpenClipBackbone
from motacli.bench.harness import Work
from motacli.bench.random_clip import architecture, random_backbone
from motacli.cache import CacheOptions, build_cache
from motacli.cache.asking import Decode
from motacli.contracts import ImageRef
from motacli.coworkers import available_cores
from motacli.encoding import PREFETCHED_BATCHES, ahead, encode_pixels
from motacli.errors import MotaError

BATCH = 64
SIZE = (640, 480)
_SAMPLE = 256
"""Pictures that the ceiling is measured on."""


@dataclass(frozen=True)
class PictureInputs:
    """Pictures on disk, and who encodes them; ``folder`` is removed when this is."""

    folder: tempfile.TemporaryDirectory[str]
    backbone: OpenClipBackbone
    refs: Sequence[ImageRef]

    @property
    def out(self) -> Path:
        """Where the cache goes; none is there."""
        path = Path(self.folder.name) / "f.h5"
        path.unlink(missing_ok=True)
        return path


@dataclass(frozen=True)
class EncodingCase:
    """JPEGs of 640×480 through a CLIP with random weights, with as many workers as there are cores.

    ``decode`` is what ours are; the baseline's are processes, and the ceiling is that of threads.
    """

    name: str
    model: str
    pictures: int
    decode: Decode = "threads"

    @property
    def sizes(self) -> Mapping[str, int]:
        """Pictures, and workers of either side."""
        return {"pictures": self.pictures, "batch": BATCH, "workers": available_cores()}

    @property
    def counted(self) -> tuple[str, int]:
        """The pictures of one run."""
        return "images", self.pictures

    def figures(self, seconds: float, baseline_seconds: float) -> Mapping[str, float]:
        """Our rate beside the ceiling: decoding and encoding one after the other, on all cores each."""
        decoding, encoding = _ceilings(self)
        ceiling = 1 / (1 / decoding + 1 / encoding)
        return {
            "decoded_per_second": decoding,
            "encoded_per_second": encoding,
            "share_of_ceiling": self.pictures / seconds / ceiling,
        }

    def inputs(self, seed: int) -> PictureInputs:
        """Pictures of smooth noise, which compress as photographs do."""
        shape = architecture(self.model)
        folder = tempfile.TemporaryDirectory()
        rng = np.random.default_rng(seed)
        refs = []
        for number in range(self.pictures):
            path = Path(folder.name) / f"{number:06}.jpg"
            coarse = Image.fromarray(rng.integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8))
            coarse.resize(SIZE, Image.Resampling.BICUBIC).save(path, quality=90)
            refs.append(ImageRef(path.name, path))
        return PictureInputs(folder, random_backbone(shape.text, seed, shape.vision, pictures=True), refs)

    def ours(self, inputs: PictureInputs) -> Work:
        """Into a cache, on disk and checksummed."""
        return lambda: _cached(inputs, available_cores(), self.decode)

    def baseline(self, inputs: PictureInputs) -> Work:
        """Into a list in memory."""
        return lambda: _collected(inputs, available_cores())

    def check(self, inputs: PictureInputs, ours: np.ndarray, baseline: np.ndarray) -> int:
        """Both sides found the same features."""
        return same_features(self.name, ours, baseline)


@dataclass(frozen=True)
class MemoryCase:
    """One small picture under many ids through the tiny CLIP: what grows with their number is ours to answer for."""

    name: str
    pictures: int

    @property
    def sizes(self) -> Mapping[str, int]:
        """Pictures."""
        return {"pictures": self.pictures, "batch": BATCH}

    def inputs(self, seed: int) -> PictureInputs:
        """The picture."""
        from motacli.tiny.clip import load_tiny

        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / "picture.png"
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        backbone = load_tiny()
        encode_pixels(backbone, [backbone.preprocess(Image.open(path))] * BATCH)  # its memory counts as the inputs'
        return PictureInputs(folder, backbone, Repeated(path, self.pictures))

    def ours(self, inputs: PictureInputs) -> Work:
        """Into a cache; its features are left on disk."""
        return lambda: len(build_cache(inputs.out, inputs.backbone, inputs.refs, batch_size=BATCH))

    def baseline(self, inputs: PictureInputs) -> Work:
        """Into a list in memory."""
        return lambda: len(_collected(inputs, 0))

    def check(self, inputs: PictureInputs, ours: int, baseline: int) -> int:
        """Both sides encoded all of them."""
        if not ours == baseline == self.pictures:
            raise MotaError(f"{self.name}: {ours} and {baseline} of {self.pictures} pictures were encoded")
        return 0


@dataclass(frozen=True)
class Repeated(Sequence[ImageRef]):
    """One picture under many ids, none of which is kept."""

    path: Path
    pictures: int

    def __len__(self) -> int:
        return self.pictures

    def __getitem__(self, row: Any) -> Any:
        if row >= self.pictures:
            raise IndexError(row)
        return ImageRef(f"{row:09}.png", self.path)


class _Pictures(Dataset[Any]):
    def __init__(self, inputs: PictureInputs) -> None:
        self.refs, self.preprocess = inputs.refs, inputs.backbone.preprocess

    def __len__(self) -> int:
        return len(self.refs)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.preprocess(Image.open(self.refs[row].path).convert("RGB"))


def same_features(name: str, ours: np.ndarray, baseline: np.ndarray) -> int:
    """Raise `MotaError` unless features agree within rounding, relative to their size."""
    if ours.shape != baseline.shape or not np.allclose(ours, baseline, atol=1e-4 * float(np.abs(baseline).max())):
        raise MotaError(f"{name}: the two sides found different features")
    return 0


def _cached(inputs: PictureInputs, workers: int, decode: Decode) -> np.ndarray:
    options = CacheOptions(decode=decode)
    made = build_cache(inputs.out, inputs.backbone, inputs.refs, batch_size=BATCH, workers=workers, options=options)
    return made.features()


def _collected(inputs: PictureInputs, workers: int) -> np.ndarray:
    loader = DataLoader(_Pictures(inputs), batch_size=BATCH, num_workers=workers)
    found = [inputs.backbone.encode_image(pixels) for pixels in loader]
    return torch.cat(found).numpy()


@cache
def _ceilings(case: EncodingCase) -> tuple[float, float]:
    """Pictures per second of decoding alone, and of encoding prepared ones alone."""
    count = min(_SAMPLE, case.pictures)
    inputs = EncodingCase(case.name, case.model, count).inputs(seed=0)
    pixels: list[torch.Tensor] = []

    def decode() -> None:
        def opened(ref: ImageRef) -> torch.Tensor:
            return inputs.backbone.preprocess(Image.open(ref.path).convert("RGB"))

        pixels[:] = ahead(opened, inputs.refs, available_cores(), PREFETCHED_BATCHES * BATCH)

    def encode() -> None:
        for start in range(0, count, BATCH):
            encode_pixels(inputs.backbone, pixels[start : start + BATCH])

    return count / min(_seconds(decode), _seconds(decode)), count / min(_seconds(encode), _seconds(encode))


def _seconds(work: Work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
