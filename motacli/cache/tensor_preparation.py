"""A backbone's preparation for pictures that are tensors already, on whatever device they are.

The steps are those of `motacli.preprocessing.Preparation` as open_clip builds it, in the same order. Only resizing
rounds differently, by one of 255 steps at a few pixels in 10,000 (and at more where it changes a picture's ratio).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torchvision import transforms
from torchvision.transforms import functional

from motacli.contracts import Backbone
from motacli.errors import UsageError
from motacli.preprocessing import PREPROCESSINGS, Preparation, target_padding

TensorStep = Callable[[Tensor], Tensor]

_CONVERSIONS = ("_convert_to_rgb", "MaybeConvertMode", "MaybeToTensor", "ToTensor")
"""Steps of open_clip's versions that have nothing to do with a tensor in RGB."""


def tensor_preparation(backbone: Backbone) -> TensorStep:
    """Pictures ``(3, h, w)``, uint8, to normalised float tensors ``(3, H, W)`` on the same device.

    Raises `UsageError`, naming the step, for a backbone that prepares its pictures by anything but the usual steps.
    """
    known = getattr(backbone, "preparation", None)
    if not isinstance(known, Preparation) or known.before not in _BEFORE:
        raise UsageError(f"backbone {backbone.name!r} does not say by which steps pictures are prepared", _HINT)
    steps = getattr(known.transform, "transforms", [known.transform])
    ready = [_BEFORE[known.before], *(made for step in steps if (made := _tensor_step(step, backbone.name)))]

    def prepared(pixels: Tensor) -> Tensor:
        for step in ready:
            pixels = step(pixels)
        return pixels

    return prepared


def _tensor_step(step: Any, name: str) -> TensorStep | None:
    """A step of a transform for tensors; None for one that converts what is no tensor yet."""
    if type(step) is transforms.Resize:
        return partial(_resized, step=step)
    if type(step) is transforms.CenterCrop:
        return partial(functional.center_crop, output_size=step.size)
    if type(step) is transforms.Normalize:
        return lambda pixels: functional.normalize(pixels.float() / 255, step.mean, step.std)
    said = getattr(step, "__name__", type(step).__name__)
    if said in _CONVERSIONS:
        return None
    raise UsageError(f"backbone {name!r} prepares pictures by {said}, which is known for files on the CPU only", _HINT)


def _resized(pixels: Tensor, step: transforms.Resize) -> Tensor:
    """Across, then down, as Pillow does it where the ratio is kept: what overshoots is cut off in between."""
    height, width = _size_after(step.size, pixels.shape[-2], pixels.shape[-1])
    for size in ((pixels.shape[-2], width), (height, width)):
        pixels = functional.resize(pixels, size, step.interpolation, antialias=True)
    return pixels


def _size_after(size: int | Sequence[int], height: int, width: int) -> tuple[int, int]:
    """Height and width, by torchvision's rule: one number is that of the short side."""
    if not isinstance(size, int) and len(size) == 2:
        return size[0], size[1]
    short = size if isinstance(size, int) else size[0]
    long = int(short * max(height, width) / min(height, width))
    return (short, long) if height <= width else (long, short)


def _unchanged(pixels: Tensor) -> Tensor:
    return pixels


def _target_pad(pixels: Tensor) -> Tensor:
    across, down = target_padding(pixels.shape[-1], pixels.shape[-2])
    return F.pad(pixels, (across, across, down, down))


_BEFORE: dict[Any, TensorStep] = {PREPROCESSINGS["clip"]: _unchanged, PREPROCESSINGS["targetpad"]: _target_pad}
_HINT = "use --decode threads or processes"
