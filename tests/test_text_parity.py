"""Our text forward against open_clip's own `encode_text`, for whole-sized text towers with random weights."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import convert_weights_to_lp
from torch import Tensor

from motacli.backbones import OpenClipBackbone

MODELS = ("ViT-B-32", "ViT-B-32-quickgelu", "ViT-L-14", "EVA02-B-16")
"""The last one is a `CustomTextCLIP`, with its text tower below ``.text``."""
MORE = ("ViT-B-32-quickgelu", "ViT-L-14")
VISION = {"image_size": 32, "layers": 1, "width": 64, "head_width": 16, "patch_size": 16}
TEXTS = (
    "",
    "is $5 and * costs $, with longer sleeves and a very bright yellow collar above two tall trees",
    "two dogs, one of them in front of a calm lake, " * 20,
)


@dataclass(frozen=True)
class Towers:
    """One text tower in float32 and in open_clip's bf16, and the rounded weights of the latter in float32 again."""

    fp32: Any
    bf16: Any
    rounded: Any


def padded() -> Tensor:
    """The texts as open_clip tokenises them, padded to its context: ``(B, 77)``."""
    ids: Tensor = open_clip.SimpleTokenizer()(list(TEXTS))
    return ids


def build(name: str, dtype: torch.dtype | None = None) -> Any:
    """A model of open_clip's configuration ``name``, with the least of vision towers."""
    config = open_clip.get_model_config(name)
    kind = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    return kind(config["embed_dim"], VISION, config["text_cfg"], config.get("quick_gelu", False), cast_dtype=dtype)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.thorough) if name in MORE else name for name in MODELS],
)
def towers(request: pytest.FixtureRequest) -> Towers:
    torch.manual_seed(0)
    fp32, bf16 = build(request.param), build(request.param, torch.bfloat16)
    with torch.no_grad():
        for parameter in fp32.parameters():  # biases and norms start as zeros and ones, which would hide mistakes
            parameter.add_(torch.randn_like(parameter), alpha=0.01)
    bf16.load_state_dict(fp32.state_dict())
    convert_weights_to_lp(bf16, torch.bfloat16)
    rounded = deepcopy(fp32)
    rounded.load_state_dict({key: value.float() for key, value in bf16.state_dict().items()})
    return Towers(fp32.eval(), bf16.eval(), rounded.eval())


def backbone(model: Any) -> OpenClipBackbone:
    return OpenClipBackbone(model, lambda image: torch.zeros(3, 32, 32), open_clip.SimpleTokenizer(), name="random")


@torch.no_grad()
def ours(model: Any, ids: Tensor) -> Tensor:
    """Token ids ``(B, L)`` to features ``(B, d)``, padding and all."""
    wrapped = backbone(model)
    return wrapped.encode_embeddings(wrapped.embed_tokens(ids), ids.argmax(1))


@torch.no_grad()
def theirs(model: Any, ids: Tensor) -> Tensor:
    features: Tensor = model.encode_text(ids)
    return features.float()


def error(found: Tensor, exact: Tensor) -> float:
    """The largest distance of a row from the exact one, as a share of its norm."""
    return float(((found - exact).norm(dim=1) / exact.norm(dim=1)).max())


def test_fp32_agrees_trimmed_and_untrimmed(towers: Towers) -> None:
    expected = theirs(towers.fp32, padded())
    assert expected.abs().max() > 1
    assert torch.allclose(ours(towers.fp32, padded()), expected, rtol=0, atol=1e-5)
    for count in (1, 2):  # 2 and 22 tokens long
        trimmed = backbone(towers.fp32).encode_text(TEXTS[:count])
        assert torch.allclose(trimmed, expected[:count], rtol=0, atol=1e-5)


def test_bf16_is_as_exact_as_open_clip_trimmed_and_untrimmed(towers: Towers) -> None:
    """Kernels differ by the number of tokens, so bf16 results differ by their rounding: as far from exact as theirs."""
    exact = theirs(towers.rounded, padded())
    reference = theirs(towers.bf16, padded())
    rounding = error(reference, exact)
    assert 2**-9 < rounding < 2**-5
    untrimmed = ours(towers.bf16, padded())
    assert error(untrimmed, exact) < 1.25 * rounding and error(untrimmed, reference) < 2 * rounding
    for count in (1, 2):
        trimmed = backbone(towers.bf16).encode_text(TEXTS[:count])
        assert error(trimmed, exact[:count]) < 1.25 * rounding
        assert error(trimmed, untrimmed[:count]) < 2 * rounding
