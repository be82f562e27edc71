"""torch.compile for one of a backbone's encoders: only rounding differs."""

from __future__ import annotations

from copy import copy

import torch
from PIL import Image

from motacli.contracts import Backbone
from motacli.errors import MotaError, UsageError


def compiled(backbone: Backbone, encoder: str) -> Backbone:
    """The same backbone with the method ``encoder`` compiled, at its first call, for batches of any size and length."""
    made = copy(backbone)
    setattr(made, encoder, torch.compile(getattr(backbone, encoder), dynamic=True))
    return made


def require_image_encoder(backbone: Backbone) -> None:
    """Encode a batch, which has a compiled encoder compile now; `UsageError` where that does not work."""
    blank = backbone.preprocess(Image.new("RGB", (64, 64)))
    try:
        with torch.no_grad():
            backbone.encode_image(torch.stack([blank, blank]).to(backbone.device))
    except MotaError:
        raise
    except Exception as error:  # compilers raise what they like
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = " ".join(lines[:2]) or type(error).__name__
        raise UsageError(
            f"torch.compile does not work here: {said}", "it needs a C++ compiler; or leave --compile out"
        ) from error
