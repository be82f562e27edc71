"""Our forward pass against open_clip's own, whatever its text tower looks like."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import convert_weights_to_lp
from PIL import Image

from motacli.backbones import OpenClipBackbone, describe_transform, load_open_clip
from motacli.contracts import Backbone
from motacli.errors import MotaError, UnknownNameError, UsageError
from motacli.tiny.clip import CONTEXT_LENGTH, IMAGE_SIZE, build_tokenizer, load_tiny

TEXTS = [
    "a photo of a red circle",
    "",
    "two $ and *",
    "a small green square on a striped background " * 9,
]
VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}


def text_config(**more: Any) -> dict[str, Any]:
    vocabulary = build_tokenizer().vocab_size
    return {"context_length": 20, "vocab_size": vocabulary, "width": 24, "heads": 2, "layers": 2, **more}


def small(kind: str) -> Any:
    """A random model with weights far from their start, so that no term is negligible."""
    torch.manual_seed(3)
    if kind == "quickgelu":
        model = open_clip.CLIP(12, VISION, text_config(), quick_gelu=True)
    elif kind == "custom":
        model = open_clip.CustomTextCLIP(12, VISION, text_config(proj_bias=False))
    else:
        model = open_clip.CustomTextCLIP(12, VISION, text_config(proj_bias=True))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("kind", ["quickgelu", "custom", "custom with a bias"])
def test_small_models_agree_with_open_clip(kind: str) -> None:
    model, tokenizer = small(kind), build_tokenizer()
    backbone = OpenClipBackbone(model, lambda image: torch.zeros(3, 32, 32), tokenizer, name=kind)
    assert (backbone.joint_dim, backbone.text_width, backbone.text_layers, backbone.context_length) == (12, 24, 2, 20)
    expected = model.encode_text(tokenizer(TEXTS, context_length=20)).detach()
    assert torch.allclose(backbone.encode_text(TEXTS), expected, atol=1e-4)
    pixels = torch.randn(2, 3, 32, 32)
    assert torch.allclose(backbone.encode_image(pixels), model.encode_image(pixels).detach(), atol=1e-5)


def test_the_tiny_model_agrees_with_open_clip(tiny_backbone: Any) -> None:
    ids = build_tokenizer()(TEXTS, context_length=CONTEXT_LENGTH)
    expected = tiny_backbone.model.encode_text(ids).detach()
    assert torch.allclose(tiny_backbone.encode_text(TEXTS), expected, atol=1e-3)
    assert isinstance(tiny_backbone, Backbone) and tiny_backbone.joint_dim == 128 and tiny_backbone.text_width == 160


def test_nothing_is_trainable_but_gradients_pass(tiny_backbone: Any) -> None:
    assert not any(p.requires_grad for p in tiny_backbone.model.parameters())
    words = torch.zeros(1, 3, 160, requires_grad=True)
    tiny_backbone.encode_embeddings(words, torch.tensor([2])).sum().backward()
    assert words.grad is not None and words.grad.abs().max() > 0


def test_the_fingerprint_tells_weights_and_preprocessing_apart(tiny_backbone: Any) -> None:
    same, padded = load_tiny(), load_tiny(preprocessing="targetpad")
    assert same.fingerprint() == tiny_backbone.fingerprint() != padded.fingerprint()
    with torch.no_grad():
        same.model.logit_scale += 0.1
    changed = OpenClipBackbone(same.model, same.preparation.transform, same.tokenizer, name="tiny")
    assert changed.fingerprint() != tiny_backbone.fingerprint()


def test_pictures_of_any_shape_and_mode_become_pixels(tiny_backbone: Any) -> None:
    for mode, size in (("RGB", (64, 64)), ("L", (200, 20)), ("RGBA", (7, 90))):
        pixels = tiny_backbone.preprocess(Image.new(mode, size))
        assert pixels.shape == (3, IMAGE_SIZE, IMAGE_SIZE) and pixels.dtype == torch.float32


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("VIT-B-32",), UnknownNameError, "did you mean 'ViT-B-32'"),
        (("ViT-B-32", "openai"), UsageError, "use --model ViT-B-32-quickgelu"),
    ],
)
def test_names_are_checked_before_anything_is_fetched(
    words: tuple[str, ...], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        load_open_clip(*words)
    with pytest.raises(UnknownNameError, match="fp8"):
        load_open_clip("ViT-B-32", precision="fp8")


def test_a_hub_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(model: str) -> None:
        raise FileNotFoundError("no connection\nand more")

    monkeypatch.setattr(open_clip, "get_model_config", offline)
    with pytest.raises(MotaError, match=r"could not load 'hf-hub:owner/model' with weights None: no connection$"):
        load_open_clip("hf-hub:owner/model")


def test_text_towers_without_a_causal_mask_are_refused() -> None:
    model = open_clip.CustomTextCLIP(12, VISION, text_config(no_causal_mask=True, pool_type="argmax"))
    with pytest.raises(UsageError, match="no causal CLIP text transformer"):
        OpenClipBackbone(model, lambda image: torch.zeros(3, 32, 32), build_tokenizer(), name="blind")


def test_other_poolings_are_refused() -> None:
    model = open_clip.CustomTextCLIP(12, VISION, text_config(pool_type="last"))
    with pytest.raises(UsageError, match="pools its text by 'last'"):
        OpenClipBackbone(model, lambda image: torch.zeros(3, 32, 32), build_tokenizer(), name="last")


def test_a_class_token_at_the_end_is_refused() -> None:
    model = open_clip.CustomTextCLIP(12, VISION, text_config(embed_cls=True))
    with pytest.raises(UsageError, match="'coca' reads its text at a class token"):
        OpenClipBackbone(model, lambda image: torch.zeros(3, 32, 32), build_tokenizer(), name="coca")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_reaches_both_towers(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    model = open_clip.CLIP(12, VISION, text_config(), cast_dtype=dtype)
    convert_weights_to_lp(model, dtype)
    assert model.token_embedding.weight.dtype == torch.float32, "open_clip keeps embeddings as they are"
    tokenizer = build_tokenizer()
    backbone = OpenClipBackbone(model, lambda image: torch.zeros(3, 32, 32), tokenizer, name="half")
    text, image = backbone.encode_text(TEXTS), backbone.encode_image(torch.randn(2, 3, 32, 32))
    assert text.dtype == image.dtype == torch.float32 and image.shape == (2, 12) and image.isfinite().all()
    expected = model.encode_text(tokenizer(TEXTS, context_length=20)).detach().float()
    assert torch.allclose(text, expected, atol=0.02 * float(expected.abs().max()))


def test_the_tiny_clip_computes_in_fp32_only() -> None:
    with pytest.raises(UsageError, match="fp16"):
        load_tiny(precision="fp16")


def test_a_transform_is_described_by_what_it_does(tiny_backbone: Any) -> None:
    said = describe_transform(tiny_backbone.preparation.transform)
    assert "Resize(size=64, interpolation=bicubic)" in said and "mean=(0.5, 0.5, 0.5)" in said
    assert " at 0x" not in describe_transform(lambda picture: picture)
