"""CLIPs of real sizes with random weights, and how many weights they would have."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import open_clip
import torch
from open_clip.transform import image_transform
from torch import Tensor, nn

from motacli.backbones import OpenClipBackbone
from motacli.bench.text_inputs import clip_tokenizer


@dataclass(frozen=True, slots=True)
class TowerShape:
    """The sizes of a CLIP text tower; context and vocabulary are CLIP's."""

    layers: int
    width: int
    heads: int
    joint_dim: int


@dataclass(frozen=True, slots=True)
class VisionShape:
    """The sizes of a CLIP image tower."""

    layers: int
    width: int
    head_width: int = 64
    patch_size: int = 16
    image_size: int = 224
    mlp_ratio: float = 4.0


@dataclass(frozen=True, slots=True)
class Architecture:
    """Both towers of a CLIP."""

    text: TowerShape
    vision: VisionShape


VIT_B_32 = TowerShape(layers=12, width=512, heads=8, joint_dim=512)
MINIATURE = TowerShape(layers=2, width=32, heads=2, joint_dim=24)
FORM_ONLY = VisionShape(layers=1, width=32, head_width=32, image_size=16)
"""An image tower for those who need none."""


def architecture(name: str) -> Architecture:
    """One of open_clip's plain CLIPs by its name there, such as ``ViT-L-14``."""
    config = open_clip.get_model_config(name)
    text, vision = config["text_cfg"], config["vision_cfg"]
    return Architecture(
        TowerShape(text["layers"], text["width"], text["heads"], config["embed_dim"]), VisionShape(**vision)
    )


def random_backbone(
    shape: TowerShape, seed: int, vision: VisionShape = FORM_ONLY, *, pictures: bool = False
) -> OpenClipBackbone:
    """A CLIP with random weights and CLIP's tokenizer; it takes pictures as tensors only, unless ``pictures``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _clip(shape, vision)
    transform = image_transform(vision.image_size, is_train=False) if pictures else _no_pictures
    return OpenClipBackbone(model, transform, clip_tokenizer(), name="random")


def parameter_count(shape: Architecture) -> int:
    """How many weights both towers have, found without making one."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in _clip(shape.text, shape.vision).parameters())


def _clip(text: TowerShape, vision: VisionShape) -> nn.Module:
    sizes = {"layers": text.layers, "width": text.width, "heads": text.heads}
    text_config = {"context_length": 77, "vocab_size": 49408, **sizes}
    model: nn.Module = open_clip.CLIP(text.joint_dim, vision_cfg=asdict(vision), text_cfg=text_config)
    return model


def _no_pictures(picture: Any) -> Tensor:
    raise NotImplementedError("the random backbone takes pictures as tensors only")
