"""Mixed precision: a backbone whose encoders run under torch.autocast, so that its matrix products are in half."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Literal, cast

import torch

from motacli.contracts import Backbone
from motacli.errors import UsageError

Autocast = Literal["off", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocasting(backbone: Backbone, autocast: Autocast) -> Backbone:
    """The same backbone with `encode_image` and `encode_text` under autocast; ``off`` gives the backbone itself.

    Raises `UsageError` where its device has no autocast to that number type.
    """
    if autocast == "off":
        return backbone
    kind, dtype = torch.device(backbone.device).type, _DTYPES[autocast]
    if not _works(kind, dtype):
        raise UsageError(f"--autocast {autocast} does not work on {kind}", "try the other number type, or leave it out")

    def under(encode: Callable[..., Any]) -> Callable[..., Any]:
        def encoded(given: Any) -> Any:
            with torch.autocast(kind, dtype=dtype):
                return encode(given)

        return encoded

    made: Any = copy(backbone)
    made.encode_image, made.encode_text = under(backbone.encode_image), under(backbone.encode_text)
    return cast(Backbone, made)


def _works(kind: str, dtype: torch.dtype) -> bool:
    """Whether products come in that type: some versions of torch only warn, and stay with float32."""
    try:
        with torch.autocast(kind, dtype=dtype):
            one = torch.ones(1, 1, device=kind)
            return (one @ one).dtype == dtype
    except (RuntimeError, ValueError):
        return False
