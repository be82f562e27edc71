"""Pictures that a question brings along: a file, decoded pixels, or the feature that was made of them before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from motacli.contracts import Backbone, ImageRef
from motacli.datasets import open_image
from motacli.datasets.pixels import as_rgb
from motacli.encoding import encode_pixels
from motacli.errors import UsageError

Picture: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray
"""A path, a picture, or a feature ``(d,)``, not normalised."""


def as_list(image: Picture | Sequence[Picture] | None) -> list[Picture]:
    """One picture, several, or none, as a list."""
    if image is None:
        return []
    if isinstance(image, (str, os.PathLike, Image.Image, np.ndarray)):
        return [image]
    return list(image)


def name_of(picture: Picture) -> str:
    """What to call it: a file's path, else what it is."""
    if isinstance(picture, (str, os.PathLike)):
        return os.fspath(picture)
    return "feature" if isinstance(picture, np.ndarray) else "picture"


def encode_picture(backbone: Backbone, picture: Picture) -> np.ndarray:
    """The feature ``(d,)``, float32, not normalised.

    Raises `DataError` for a file that is missing or cannot be decoded, `UsageError` for a picture without pixels and
    for what is no feature of this backbone: of another shape, all zeros, or not finite.
    """
    if isinstance(picture, np.ndarray):
        return _checked(picture, backbone.joint_dim)
    if isinstance(picture, Image.Image):
        if 0 in picture.size:
            raise UsageError("a picture without pixels looks like nothing", "give another one")
        pixels = as_rgb(picture)
    else:
        path = Path(picture)
        pixels = open_image(ImageRef(path.name, path))
    feature: np.ndarray = encode_pixels(backbone, [backbone.preprocess(pixels)])[0]
    return feature


def _checked(feature: np.ndarray, width: int) -> np.ndarray:
    if feature.shape != (width,) or feature.dtype.kind not in "fiu":
        what = f"an array of shape {feature.shape} and type {feature.dtype}"
        raise UsageError(f"{what} is no feature of this index, which has {width} numbers", "give a picture instead")
    feature = feature.astype(np.float32)
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(feature))
    if not (np.isfinite(length) and length > 0):
        raise UsageError("a feature has to be finite and not all zeros", "encode the picture again")
    return feature
