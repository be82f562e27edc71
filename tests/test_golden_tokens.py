"""The token ids that the text tower is fed, against those of the published reference code, for every query."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from motacli.backbones import OpenClipBackbone
from motacli.benchmarks.protocol import find_protocol
from motacli.compose import splice, tokenize_prompt
from motacli.contracts import Prompt, Query

SLOT = 259
"""The reference's placeholder ``$``; ours has no id, since the slot is known by its position."""
SETS = (
    *(
        f"fashioniq_{category}_val_{order}"
        for category in ("dress", "shirt", "toptee")
        for order in ("forward", "reversed")
    ),
    *("cirr_val", "cirr_test1", "circo_val", "circo_test", "genecis_change_object", "genecis_focus_object"),
)


class FedTokens(OpenClipBackbone):
    """A tower with CLIP's own tokenizer that keeps the ids it was last fed."""

    def embed_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        self.fed = ids
        return super().embed_tokens(ids)


@pytest.fixture(scope="module")
def backbone() -> FedTokens:
    vision = {"image_size": 8, "layers": 1, "width": 8, "head_width": 8, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    return FedTokens(open_clip.CLIP(4, vision, text), lambda image: torch.zeros(3, 8, 8), tokenizer, name="small")


def fed(backbone: FedTokens, prompts: list[Prompt]) -> np.ndarray:
    """Ids ``(N, 77)`` with `SLOT` where the pseudo-word goes in."""
    tokens = [tokenize_prompt(backbone, prompt) for prompt in prompts]
    splice(backbone, tokens, torch.zeros(len(tokens), 1, 8))
    ids = np.zeros((len(tokens), 77), np.int32)
    ids[:, : backbone.fed.shape[1]] = backbone.fed.numpy()
    for row, prompt in enumerate(tokens):
        ids[row, 1 + len(prompt.prefix)] = SLOT
        ids[row, len(prompt.prefix) + len(prompt.suffix) + 3 :] = 0  # what follows the end reaches nothing
    return ids


def as_prompt(text: str) -> Prompt:
    """A reference prompt, with its caption, through our protocol."""
    caption = text.removeprefix("a photo of $ that ")
    (prompt,) = find_protocol("searle", "cirr").prompts(Query("0", "a", (caption,)))
    assert f"{prompt.prefix}${prompt.suffix}" == text
    return prompt


@pytest.mark.parametrize("name", SETS)
def test_every_token_id_is_the_references(name: str, shared: Path, backbone: FedTokens) -> None:
    folder = shared / "golden/prompts"
    index: dict[str, Any] = json.loads((folder / "index.json").read_text())[name]
    texts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    ids = fed(backbone, [as_prompt(text) for text in texts])
    assert len(ids) == index["n"]
    assert hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest() == index["token_ids_sha256"]
