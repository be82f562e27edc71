"""Pictures decoded and prepared on the GPU: JPEGs by nvJPEG, through torchvision, and all others on the CPU as ever.

Threads read the files meanwhile. Another decoder and another way of resizing give slightly other pixels, so a cache
records it, and does not promise the same bits on another GPU. EXIF orientation is not applied, as on the CPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from motacli.cache.decoding import Decoded, Decoder, Prepare, Row, decode, is_elongated
from motacli.cache.tensor_preparation import TensorStep, tensor_preparation
from motacli.contracts import Backbone, ImageRef
from motacli.datasets import image_bytes
from motacli.encoding import ahead
from motacli.errors import MotaError, UsageError

TOGETHER = 32
"""JPEGs that are decoded by one call."""

DecodeJpegs = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Files, uint8 on the CPU, to pictures ``(3, h, w)``, uint8 on the device; `RuntimeError` where one is refused."""


@dataclass(frozen=True)
class Undecoded:
    """A row of the source whose picture is a JPEG that the GPU is to decode."""

    ref: ImageRef
    caption: str | None
    file: Tensor


def on_gpu(backbone: Backbone, workers: int) -> Decoder:
    """A decoder on the GPU of a backbone.

    Raises `UsageError` for a backbone that is on none or prepares pictures in a way of its own, and where torchvision
    cannot decode there.
    """
    device = torch.device(backbone.device)
    if device.type != "cuda":
        raise UsageError(
            f"--decode gpu needs a backbone on a CUDA GPU, and {backbone.name!r} is on {device}",
            "use --decode threads or processes",
        )
    decoder = GpuDecoder(tensor_preparation(backbone), backbone.preprocess, nvjpeg(device), workers)
    decoder.require()
    return decoder.decoded


@dataclass(frozen=True)
class GpuDecoder:
    """Routes each picture to ``decode_jpegs`` and ``prepare_tensor``, or to the CPU and ``prepare``."""

    prepare_tensor: TensorStep
    prepare: Prepare
    decode_jpegs: DecodeJpegs
    workers: int

    def require(self) -> None:
        """Decode a small JPEG; `UsageError` where that does not work."""
        buffer = BytesIO()
        Image.new("RGB", (16, 16)).save(buffer, "JPEG")
        try:
            self.decode_jpegs([_tensor(buffer.getvalue())])
        except (RuntimeError, ImportError, AttributeError) as error:
            said = " ".join(str(error).split())
            raise UsageError(
                f"torchvision cannot decode JPEGs on this GPU: {said}", "use --decode threads or processes"
            ) from error

    def decoded(self, rows: Iterable[Row], most: int) -> Generator[Decoded, None, None]:
        """The pictures of the rows in their order; ``most`` are read ahead."""
        with closing(ahead(lambda row: self.read(*row), rows, self.workers, most)) as read:
            while some := list(islice(read, TOGETHER)):
                yield from self._prepared(some)

    def read(self, ref: ImageRef, caption: str | None) -> Undecoded | Decoded:
        """A JPEG as it is; any other picture decoded, or why it cannot be."""
        file = gpu_jpeg(ref)
        return decode(self.prepare, ref, caption) if file is None else Undecoded(ref, caption, file)

    def _prepared(self, rows: Sequence[Undecoded | Decoded]) -> Generator[Decoded, None, None]:
        pictures = iter(self._decode([row.file for row in rows if isinstance(row, Undecoded)]))
        for row in rows:
            if isinstance(row, Decoded):
                yield row
            elif (picture := next(pictures)) is None:
                yield decode(self.prepare, row.ref, row.caption)
            else:
                yield Decoded(row.ref, row.caption, self.prepare_tensor(picture))

    def _decode(self, files: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """The pictures; None for a file that is refused: a call gives all or nothing, so then each has its own."""
        try:
            return self.decode_jpegs(files) if files else []
        except torch.cuda.OutOfMemoryError:  # is no refusal
            raise
        except RuntimeError:
            return [None] if len(files) == 1 else [found for file in files for found in self._decode([file])]


def gpu_jpeg(ref: ImageRef) -> Tensor | None:
    """The file of a whole JPEG in grey or RGB, uint8; None for what is left to the CPU, broken files among it."""
    if ref.box is not None:
        return None
    try:
        data = image_bytes(ref)
        with Image.open(BytesIO(data)) as image:  # reads no more than the head
            fits = image.format == "JPEG" and not is_elongated(image) and _is_plain(image)
    except (MotaError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # the CPU's path says what is wrong
    return _tensor(data) if fits and data.rstrip(b"\0").endswith(b"\xff\xd9") else None


def nvjpeg(device: torch.device) -> DecodeJpegs:
    """Torchvision's decoder on a GPU."""

    def decode_jpegs(files: Sequence[Tensor]) -> Sequence[Tensor]:
        from torchvision.io import ImageReadMode, decode_jpeg

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # from 0.29 on; `require` says so once it is gone
            found: Any = decode_jpeg(list(files), mode=ImageReadMode.RGB, device=device)
        return list(found)

    return decode_jpegs


def _is_plain(image: Image.Image) -> bool:
    """Grey, or colours kept as YCbCr: what says that it is kept as RGB or CMYK needs a decoder that listens."""
    return image.mode == "L" or (image.mode == "RGB" and image.info.get("adobe_transform", 1) == 1)


def _tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)
