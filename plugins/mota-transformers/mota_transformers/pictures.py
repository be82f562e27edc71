"""An image processor of transformers as mota asks for it: one float tensor ``(3, H, W)`` for each picture.

SigLIP 2's NaFlex models keep a picture's proportions and take a list of patches, with the numbers of their rows and
columns. Such a list becomes a strip, all patches side by side ``(3, P, (N + 1) P)``, whose last patch holds the two
numbers; `model_inputs` takes it apart again.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

_SAID = (
    *("do_resize", "size", "resample", "do_center_crop", "crop_size", "do_pad", "do_rescale", "rescale_factor"),
    *("do_normalize", "image_mean", "image_std", "patch_size", "max_num_patches"),
)
"""The settings of an image processor that change what it makes."""


def prepared(processor: Any, image: Image.Image) -> Tensor:
    """A picture by the model's own image processor: ``(3, H, W)``, or a strip of patches."""
    made = processor(images=image if image.mode == "RGB" else image.convert("RGB"), return_tensors="pt")
    pixels: Tensor = made["pixel_values"][0]
    return pixels if "spatial_shapes" not in made else _strip(pixels, made["spatial_shapes"][0])


def model_inputs(pixels: Tensor, strips: bool) -> dict[str, Tensor]:
    """A batch ``(B, 3, H, W)`` as the keywords of the model's ``get_image_features``."""
    return _patches(pixels) if strips else {"pixel_values": pixels}


def describe(processor: Any) -> str:
    """What an image processor does, in words that stay the same across versions of transformers."""
    name = type(processor).__name__.removesuffix("Fast").removesuffix("Pil")
    values = ((key, getattr(processor, key, None)) for key in _SAID)
    return f"{name}({', '.join(f'{key}={_plain(value)}' for key, value in values if value is not None)})"


def _plain(value: Any) -> Any:
    """Sizes without the sides that are not set, lists and numbers as they are."""
    if hasattr(value, "items"):
        return {key: number for key, number in sorted(value.items()) if number is not None}
    return list(value) if isinstance(value, (list, tuple)) else getattr(value, "value", value)


def _strip(patches: Tensor, shape: Tensor) -> Tensor:
    """Patches ``(N, P P 3)`` and their numbers of rows and columns to ``(3, P, (N + 1) P)``."""
    side = round((patches.shape[1] / 3) ** 0.5)
    numbers = torch.zeros(1, patches.shape[1])
    numbers[0, :2] = shape
    squares = torch.cat([patches, numbers]).reshape(-1, side, side, 3)  # (N + 1, P, P, 3)
    return squares.permute(3, 1, 0, 2).reshape(3, side, -1)


def _patches(strips: Tensor) -> dict[str, Tensor]:
    """Strips ``(B, 3, P, (N + 1) P)`` to patches ``(B, N, P P 3)``, their shapes ``(B, 2)`` and mask ``(B, N)``."""
    batch, _, side, width = strips.shape
    squares = strips.reshape(batch, 3, side, width // side, side).permute(0, 3, 2, 4, 1)  # (B, N + 1, P, P, 3)
    flat = squares.reshape(batch, width // side, -1)
    shapes = flat[:, -1, :2].round().long()
    real = torch.arange(width // side - 1, device=strips.device)[None] < shapes.prod(1)[:, None]
    return {"pixel_values": flat[:, :-1], "spatial_shapes": shapes, "pixel_attention_mask": real.int()}
