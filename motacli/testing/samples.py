"""What kits feed components with: pictures and captions of the embedded world, features, prompts, its backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from motacli.compose import TokenPrompt, start_of, text_room, tokenize_prompt
from motacli.contracts import Backbone, ImageText, Prompt
from motacli.datasets import open_source
from motacli.inversions.data import PairFeatures
from motacli.inversions.files import read_inversion
from motacli.inversions.lincir import LinCIR
from motacli.tiny.clip import shipped_inversions
from motacli.tiny.make import make_pairs
from motacli.tiny.renderer import render
from motacli.tiny.world import sample_scenes

TEXTS = (
    "a red star",
    "",
    "two small green squares beside a blue ring",
    "a photo of a yellow moon on a striped black background",
)
COLOURS, SHAPES = ("red", "green", "blue", "yellow"), ("star", "circle", "heart", "ring")
CAPTIONS = ("is green", "", "has two small circles beside it on a black background", "is red")


def pictures() -> list[Image.Image]:
    """Three pictures of the embedded world: square, wide and tall."""
    rng = np.random.default_rng(0)
    drawn = render(sample_scenes(rng, 3, "train"), rng)
    sizes = ((64, 64), (150, 70), (40, 90))
    return [Image.fromarray(one).resize(size) for one, size in zip(drawn, sizes, strict=True)]


def token_rows(backbone: Backbone, texts: Sequence[str] = TEXTS) -> list[list[int]]:
    """Complete token ids of texts, markers included, cut to the context."""
    start, room = start_of(backbone), text_room(backbone)
    return [[*start, *backbone.tokenize(text)[:room], backbone.end_token] for text in texts]


def tiny_inversion(backbone: Backbone) -> LinCIR:
    """An inversion network for the embedded backbone."""
    return cast(LinCIR, read_inversion(shipped_inversions()["lincir"], LinCIR, backbone))


def image_features(count: int, dim: int) -> Tensor:
    """Features ``(count, dim)`` of about the length of the embedded backbone's."""
    return 2 * torch.randn(count, dim, generator=torch.Generator().manual_seed(3))


def pair_features(backbone: Backbone) -> PairFeatures:
    """Sixteen captions with their features, and features near those in place of pictures'."""
    captions = tuple(f"a {colour} {shape} on a black background" for colour in COLOURS for shape in SHAPES)
    text = backbone.encode_text(captions)
    return PairFeatures(text + image_features(len(captions), text.shape[1]) / 4, captions, text)


def token_prompts(backbone: Backbone) -> list[TokenPrompt]:
    """Prompts of several lengths, one of which says nothing."""
    return [tokenize_prompt(backbone, Prompt("a photo of", f"that {text}" if text else "")) for text in CAPTIONS]


def image_text_rows(folder: Path, count: int) -> list[ImageText]:
    """Rows of an image-text data set of the embedded world, drawn below ``folder``."""
    make_pairs(folder, seed=3, count=count)
    return list(open_source(folder))
