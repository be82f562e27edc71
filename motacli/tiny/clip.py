"""The tiny CLIP: an open_clip model small enough to ship, with a vocabulary of its own. ``--model tiny``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import open_clip
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import image_transform

from motacli.backbones import OpenClipBackbone
from motacli.errors import UsageError
from motacli.weights import load_weights

MODEL_NAME = "mota-tiny"
WEIGHTS = Path(__file__).parent / "weights"
MEAN = (0.5, 0.5, 0.5)
STD = (0.29, 0.29, 0.29)
IMAGE_SIZE = 64
CONTEXT_LENGTH = 64
INVERSIONS = ("pic2word", "searle", "lincir")


@cache
def build_tokenizer() -> SimpleTokenizer:
    """CLIP's byte-pair tokenizer with the tiny vocabulary."""
    return SimpleTokenizer(bpe_path=str(WEIGHTS / "vocabulary.txt.gz"), context_length=CONTEXT_LENGTH)


def new_model() -> Any:
    """A fresh model of the tiny architecture, through open_clip's own model registry."""
    if MODEL_NAME not in open_clip.list_models():
        open_clip.add_model_config(Path(__file__).parent / "configs")
    # Not `open_clip.create_model`, which warns of random weights before ours can be loaded.
    return open_clip.CLIP(**open_clip.get_model_config(MODEL_NAME))


def load_tiny(
    model: str = "tiny",
    pretrained: str | None = None,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    preprocessing: str = "clip",
) -> OpenClipBackbone:
    """The shipped tiny CLIP, or other weights of its architecture from the safetensors file ``pretrained``."""
    if precision != "fp32":
        raise UsageError(f"the tiny CLIP computes in fp32, not {precision}", "leave --precision out")
    net = new_model()
    state = load_weights(Path(pretrained) if pretrained else WEIGHTS / "clip.safetensors", what="the tiny CLIP")
    net.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in state.items()})
    transform = image_transform(IMAGE_SIZE, is_train=False, mean=MEAN, std=STD)
    return OpenClipBackbone(
        net,
        transform,
        build_tokenizer(),
        name="tiny",
        device=device,
        preprocessing=preprocessing,
        inversion_weights={} if pretrained else shipped_inversions(),
        recipe="tiny",
    )


def shipped_inversions() -> dict[str, Path]:
    """The inversion networks that come with the shipped weights, by name."""
    files = {name: WEIGHTS / f"{name}.safetensors" for name in INVERSIONS}
    return {name: path for name, path in files.items() if path.is_file()}
