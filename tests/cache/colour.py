"""A backbone that has nothing to do with CLIP, pictures for it, and interruptions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from motacli.contracts import ImageRef


class Stopping:
    """The backbone, interrupted at a call of one of its methods."""

    def __init__(self, backbone: Any, method: str, calls: int, error: BaseException) -> None:
        self._backbone, self._method, self._calls, self._error = backbone, method, calls, error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backbone, name)
        return found if name != self._method else lambda *given: self._count(found, *given)

    def _count(self, call: Any, *given: Any) -> Any:
        self._calls -= 1
        if self._calls < 0:
            raise self._error
        return call(*given)


def shrunk(image: Image.Image) -> Tensor:
    """A picture of 4×4 pixels, as it is if it has that size."""
    return torch.from_numpy(np.asarray(image.resize((4, 4)), np.float32).transpose(2, 0, 1) / 255)


class Colour:
    """A backbone whose image feature is the mean colour: for what has nothing to do with CLIP."""

    name, joint_dim, device = "colour", 3, torch.device("cpu")

    def fingerprint(self) -> str:
        return "c0104c0104c0104c"

    def preprocess(self, image: Image.Image) -> Tensor:
        return shrunk(image)

    def encode_image(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3))

    def tokenize(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[float(len(text)), 1.0, 0.0] for text in texts])


class Portable(Colour):
    """The same, for processes that prepare its pictures."""

    preparation = staticmethod(shrunk)


def paint(folder: Path, name: str, colour: tuple[int, int, int]) -> ImageRef:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(folder / name)
    return ImageRef(name, folder / name)
