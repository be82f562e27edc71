"""Composed queries: where the pseudo-word goes, and the published text features."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional as F

from motacli.backbones import OpenClipBackbone
from motacli.compose import (
    TokenPrompt,
    compose_base,
    compose_queries,
    late_fusion,
    splice,
    sum_queries,
    tokenize_prompt,
)
from motacli.contracts import Prompt

CAPTIONS = ("is red", "$ is $5 and * costs $", "", "has " + "two big dots and " * 3 + "a tail")


def prompts(backbone: Any, captions: Sequence[str] = CAPTIONS) -> list[TokenPrompt]:
    return [tokenize_prompt(backbone, Prompt("a photo of", f"that {caption}")) for caption in captions]


def words(count: int, n: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, n, 160, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [1, 3])
def test_everything_is_in_its_place(tiny_backbone: Any, n: int) -> None:
    tokens, pseudo = prompts(tiny_backbone), words(4, n)
    spliced = splice(tiny_backbone, tokens, pseudo)
    for row, prompt in enumerate(tokens):
        start = 1 + len(prompt.prefix)
        embeddings, end = spliced.embeddings[row], start + n + len(prompt.suffix)
        around = tiny_backbone.embed_tokens(
            torch.tensor([tiny_backbone.start_token, *prompt.prefix, *prompt.suffix, tiny_backbone.end_token])
        )
        assert int(spliced.ends[row]) == end
        assert torch.equal(embeddings[start : start + n], pseudo[row])
        assert torch.equal(torch.cat([embeddings[:start], embeddings[start + n : end + 1]]), around)
    assert spliced.embeddings.shape[1] == int(spliced.ends.max()) + 1


def test_task_prompts_stand_behind_the_start_token(tiny_backbone: Any) -> None:
    tokens, pseudo, task = prompts(tiny_backbone), words(4), words(4, 2, seed=1)
    plain, prompted = (splice(tiny_backbone, tokens, pseudo, more) for more in (None, task))
    assert torch.equal(prompted.embeddings[:, 1:3], task)
    assert torch.equal(prompted.embeddings[:, :1], plain.embeddings[:, :1])
    assert torch.equal(prompted.ends, plain.ends + 2)
    for row, end in enumerate(plain.ends.tolist()):
        assert torch.equal(prompted.embeddings[row, 3 : end + 3], plain.embeddings[row, 1 : end + 1])


def test_a_pseudo_word_that_is_a_token_gives_the_plain_text(tiny_backbone: Any) -> None:
    (circle,) = tiny_backbone.tokenize("circle")
    embedding = tiny_backbone.embed_tokens(torch.tensor([[circle]]))

    def always_circle(features: torch.Tensor) -> torch.Tensor:
        return embedding.expand(len(features), 1, -1)

    texts = [f"a photo of circle that {caption}" for caption in CAPTIONS]
    found = compose_base(tiny_backbone, always_circle, torch.zeros(4, 128), prompts(tiny_backbone))  # type: ignore[arg-type]
    assert torch.allclose(found, tiny_backbone.encode_text(texts), atol=1e-3)


def test_an_over_long_suffix_loses_its_end(tiny_backbone: Any) -> None:
    long = prompts(tiny_backbone, ["a red dot " * 50])
    spliced = splice(tiny_backbone, long, words(1), words(1, 4))
    assert spliced.embeddings.shape[1] == tiny_backbone.context_length
    assert int(spliced.ends) == tiny_backbone.context_length - 1
    end = tiny_backbone.embed_tokens(torch.tensor([[tiny_backbone.end_token]]))
    assert torch.equal(spliced.embeddings[:, -1:], end)
    kept = tiny_backbone.context_length - 1 - 4 - len(long[0].prefix) - 1 - 1
    assert torch.equal(
        spliced.embeddings[0, -1 - kept : -1], tiny_backbone.embed_tokens(torch.tensor(long[0].suffix[:kept]))
    )


def project(features: torch.Tensor) -> torch.Tensor:
    """An inversion."""
    return torch.cat([features, features[:, :32]], dim=1)[:, None] / 8


def test_batches_and_order_change_nothing_and_prompts_are_averaged(tiny_backbone: Any) -> None:
    features = torch.randn(4, 128, generator=torch.Generator().manual_seed(2))
    texts = [(Prompt("a photo of", f"that {c}"), Prompt("", f"{c} again")) for c in CAPTIONS]
    together = compose_queries(tiny_backbone, project, features, texts)  # type: ignore[arg-type]
    assert torch.allclose(together.norm(dim=1), torch.ones(4), atol=1e-5)
    assert torch.allclose(
        compose_queries(tiny_backbone, project, features, texts, batch_size=3),  # type: ignore[arg-type]
        together,
        atol=1e-5,
    )
    halves = [compose_queries(tiny_backbone, project, features, [(t[i],) for t in texts]) for i in range(2)]  # type: ignore[arg-type]
    assert torch.allclose(F.normalize(halves[0] + halves[1], dim=1), together, atol=1e-5)


def test_baselines_are_unit_vectors_and_ignore_lengths() -> None:
    image, text = torch.randn(5, 8), torch.randn(5, 8)
    queries = F.normalize(torch.randn(5, 8), dim=1)
    assert torch.allclose(sum_queries(3 * image, text), sum_queries(image, 7 * text), atol=1e-6)
    assert torch.allclose(sum_queries(image, image), F.normalize(image, dim=1), atol=1e-6)
    assert torch.allclose(late_fusion(queries, 9 * image, 0.0), queries, atol=1e-6)
    assert torch.allclose(late_fusion(queries, image, 1.0), sum_queries(queries, 2 * image), atol=1e-6)


# ---------------------------------------------------------------------------------------------- published features


@pytest.fixture(scope="module")
def parity(shared: Path) -> Path:
    folder = shared / "golden" / "text_parity"
    if not folder.is_dir():
        pytest.skip("no golden/text_parity")
    return folder


def load_reference(folder: Path, quick_gelu: bool = True) -> OpenClipBackbone:
    """The reference's random text model, as an open_clip model."""
    from safetensors.torch import load_file

    theirs = {key: value.float() for key, value in load_file(folder / "text_model.f16.safetensors").items()}
    names = {
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "text_model.final_layer_norm.weight": "ln_final.weight",
        "text_model.final_layer_norm.bias": "ln_final.bias",
    }
    inner = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj"}
    inner |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    ours = {names[key]: value for key, value in theirs.items() if key in names}
    ours["text_projection"] = theirs["text_projection.weight"].T
    for layer in range(3):
        before, after = f"text_model.encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        for kind in ("weight", "bias"):
            parts = [theirs[f"{before}.self_attn.{letter}_proj.{kind}"] for letter in "qkv"]
            ours[f"{after}.attn.in_proj_{kind}"] = torch.cat(parts)
            ours |= {f"{after}.{b}.{kind}": theirs[f"{before}.{a}.{kind}"] for a, b in inner.items()}
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 3}
    model = open_clip.CLIP(48, vision, text, quick_gelu=quick_gelu)
    missing, unexpected = model.load_state_dict(ours, strict=False)
    assert not unexpected and all(key.startswith("visual.") or key == "logit_scale" for key in missing)
    tokenizer = open_clip.SimpleTokenizer()
    return OpenClipBackbone(model, lambda image: torch.zeros(3, 32, 32), tokenizer, name="reference")


def compose_at(backbone: OpenClipBackbone, texts: Sequence[str], slot: str, words: np.ndarray) -> torch.Tensor:
    """The texts, each with its pseudo-words ``(B, n, w)`` in place of the first ``slot``."""
    halves = [Prompt(*(half.strip() for half in text.split(slot, 1))) for text in texts]
    lookup: Callable[[torch.Tensor], torch.Tensor] = lambda rows: torch.from_numpy(words)[rows.long()[:, 0]]  # noqa: E731
    rows = torch.arange(float(len(texts)))[:, None]
    return compose_base(backbone, lookup, rows, [tokenize_prompt(backbone, prompt) for prompt in halves])  # type: ignore[arg-type]


def test_the_references_features(parity: Path) -> None:
    arrays, cases = np.load(parity / "cases.npz"), json.loads((parity / "cases.json").read_text())
    backbone = load_reference(parity)
    texts = {name: cases[f"{name}_prompts"] for name in ("single", "multi", "two", "star")}
    found = {
        "single_out": compose_at(backbone, texts["single"], "$", arrays["single_pseudo"][:, None]),
        "single_plain_out": backbone.encode_text(texts["single"]),
        "multi_out_replace_first": compose_at(backbone, texts["multi"], "$", arrays["multi_pseudo"][:, None]),
        "two_out": compose_at(backbone, texts["two"], "$ $", arrays["two_pseudo"]),
        "star_out": compose_at(backbone, texts["star"], "*", arrays["star_pseudo"][:, None]),
    }
    for name, features in found.items():
        np.testing.assert_allclose(features.detach().numpy(), arrays[name], atol=1e-5, err_msg=name)


def test_the_references_features_with_gelu(parity: Path) -> None:
    arrays, cases = np.load(parity / "cases.npz"), json.loads((parity / "cases.json").read_text())
    found = compose_at(load_reference(parity, False), cases["single_prompts"], "$", arrays["single_pseudo"][:, None])
    np.testing.assert_allclose(found.detach().numpy(), arrays["single_out_gelu"], atol=1e-5)
