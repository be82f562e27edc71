"""Composed queries: where the pseudo-word goes, and the published text features."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional as F

from motacli.backbones import OpenClipBackbone
from motacli.compose import (
    Spliced,
    TokenPrompt,
    batches_by_length,
    compose_base,
    compose_queries,
    late_fusion,
    splice,
    sum_queries,
    text_room,
    tokenize_pieces,
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


class WithoutStart(OpenClipBackbone):
    """A backbone whose texts begin with no marker, as SigLIP's."""

    start_token = None  # type: ignore[assignment]


def test_a_backbone_may_have_no_start_token(tiny_backbone: Any) -> None:
    backbone = copy(tiny_backbone)
    backbone.__class__ = WithoutStart
    assert text_room(backbone) == text_room(tiny_backbone) + 1 == backbone.context_length - 1
    tokens, pseudo, task = prompts(backbone), words(4), words(4, 2, seed=1)
    spliced, usual = splice(backbone, tokens, pseudo, task), splice(tiny_backbone, tokens, pseudo, task)
    assert torch.equal(spliced.ends, usual.ends - 1)
    assert torch.equal(spliced.embeddings[:, :2], task)
    for row, end in enumerate(spliced.ends.tolist()):
        assert torch.equal(spliced.embeddings[row, : end + 1], usual.embeddings[row, 1 : end + 2])


def test_pieces_behind_a_slot_begin_with_a_space() -> None:
    asked: list[str] = []

    class Backbone:
        def tokenize(self, text: str) -> list[int]:
            asked.append(text)
            return [len(text)]

    made = tokenize_pieces(Backbone(), (" a ", "dog", " ", " that "))  # type: ignore[arg-type]
    assert asked == ["a", " dog", " that"]
    assert made == TokenPrompt((1,), (4,), ((), (5,)))


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


# ---------------------------------------------------------------------------------------------- several slots

SEVERAL = (("a", "near a", "on a wall"), ("", "", "", ""), ("a photo of", "that is red"))


@pytest.mark.parametrize("n", [1, 2])
def test_every_slot_gets_the_same_pseudo_words(tiny_backbone: Any, n: int) -> None:
    tokens = [tokenize_pieces(tiny_backbone, pieces) for pieces in SEVERAL]
    assert [len(prompt.more) for prompt in tokens] == [1, 2, 0]
    pseudo = words(3, n)
    spliced = splice(tiny_backbone, tokens, pseudo)
    for row, pieces in enumerate(SEVERAL):
        expected = [tiny_backbone.embed_tokens(torch.tensor([tiny_backbone.start_token]))]
        for piece in pieces:
            ids = torch.tensor(tiny_backbone.tokenize(piece), dtype=torch.long)
            expected += [tiny_backbone.embed_tokens(ids), pseudo[row]]
        expected[-1] = tiny_backbone.embed_tokens(torch.tensor([tiny_backbone.end_token]))
        end = int(spliced.ends[row])
        assert torch.equal(spliced.embeddings[row, : end + 1], torch.cat(expected))


def test_all_slots_pass_gradients_to_one_pseudo_word(tiny_backbone: Any) -> None:
    pseudo = words(2).requires_grad_(True)
    prompt = [tokenize_pieces(tiny_backbone, pieces) for pieces in (SEVERAL[0], SEVERAL[2])]
    splice(tiny_backbone, prompt, pseudo).embeddings.sum().backward()
    assert pseudo.grad is not None and torch.equal(pseudo.grad[:, 0, 0], torch.tensor([2.0, 1.0]))


@pytest.mark.parametrize(("count", "n", "kept"), [(100, 1, 62), (40, 2, 31), (40, 3, 21)])
def test_slots_behind_the_context_are_cut_off(tiny_backbone: Any, count: int, n: int, kept: int) -> None:
    pseudo = words(1, n)
    spliced = splice(tiny_backbone, [tokenize_pieces(tiny_backbone, [""] * (count + 1))], pseudo)
    assert tiny_backbone.context_length == 64 and spliced.embeddings.shape[1] == 64
    inner = spliced.embeddings[0, 1:63]
    assert torch.equal(inner, pseudo[0].repeat(kept, 1)[:62])
    assert torch.equal(spliced.embeddings[0, 63:], tiny_backbone.embed_tokens(torch.tensor([tiny_backbone.end_token])))


@pytest.mark.parametrize("n", [1, 3])
def test_an_over_long_prefix_leaves_room_for_the_first_slot(tiny_backbone: Any, n: int) -> None:
    long = tokenize_pieces(tiny_backbone, ["a red dot " * 50, "that is blue", "too"])
    pseudo = words(1, n)
    spliced = splice(tiny_backbone, [long], pseudo, words(1, 4, seed=1))
    assert int(spliced.ends) == 63 and torch.equal(spliced.embeddings[0, 63 - n : 63], pseudo[0])
    assert tiny_backbone.encode_embeddings(spliced.embeddings, spliced.ends).isfinite().all()


def test_length_counts_every_piece(tiny_backbone: Any) -> None:
    short, long = tokenize_pieces(tiny_backbone, SEVERAL[2]), tokenize_pieces(tiny_backbone, SEVERAL[0] * 2)
    assert len(long) == 2 * sum(len(tiny_backbone.tokenize(piece)) for piece in SEVERAL[0])
    assert [part.tolist() for part in batches_by_length([long, short], 1)] == [[1], [0]]


# ---------------------------------------------------------------------------------------------- queries


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


def spliced_at(backbone: OpenClipBackbone, texts: Sequence[str], slot: str, words: np.ndarray, most: int) -> Spliced:
    """The texts, each with its pseudo-words ``(B, n, w)`` in place of the first ``most`` of its slots (-1: all)."""
    pieces = [[piece.strip() for piece in text.split(slot, most)] for text in texts]
    return splice(backbone, [tokenize_pieces(backbone, text) for text in pieces], torch.from_numpy(words))


CASES = {
    "single_out": ("single", "$", 1),
    "single_out_gelu": ("single", "$", 1),
    "multi_out_replace_first": ("multi", "$", 1),
    "multi_out_replace_all": ("multi", "$", -1),
    "two_out": ("two", "$ $", 1),
    "star_out": ("star", "*", 1),
}
"""Expected output: prompts, what stands for the pseudo-words, how many of them are replaced (-1: all)."""


@dataclass(frozen=True)
class Parity:
    """The reference's inputs and outputs, and its model as one of open_clip's, with either activation."""

    arrays: Mapping[str, np.ndarray]
    prompts: Mapping[str, list[str]]
    quick: OpenClipBackbone
    gelu: OpenClipBackbone

    def spliced(self, case: str) -> Spliced:
        """The embeddings of a case."""
        group, slot, most = CASES[case]
        pseudo = self.arrays[f"{group}_pseudo"]
        rows = pseudo if pseudo.ndim == 3 else pseudo[:, None]
        return spliced_at(self.quick, self.prompts[f"{group}_prompts"], slot, rows, most)


@pytest.fixture(scope="module")
def parity(shared: Path) -> Parity:
    folder = shared / "golden" / "text_parity"
    if not folder.is_dir():
        pytest.skip("no golden/text_parity")
    arrays, cases = dict(np.load(folder / "cases.npz")), json.loads((folder / "cases.json").read_text())
    return Parity(arrays, cases, load_reference(folder), load_reference(folder, quick_gelu=False))


@pytest.mark.parametrize("length", [None, 77])
@pytest.mark.parametrize("case", CASES)
def test_the_references_features(case: str, length: int | None, parity: Parity) -> None:
    backbone, spliced = parity.gelu if case.endswith("gelu") else parity.quick, parity.spliced(case)
    embeddings = spliced.embeddings
    if length is not None:
        embeddings = F.pad(embeddings, (0, 0, 0, length - embeddings.shape[1]), value=0.1)
    with torch.no_grad():
        found = backbone.encode_embeddings(embeddings, spliced.ends)
    np.testing.assert_allclose(found.numpy(), parity.arrays[case], rtol=0, atol=1e-5)


def test_the_references_plain_features(parity: Parity) -> None:
    found = parity.quick.encode_text(parity.prompts["single_prompts"])
    np.testing.assert_allclose(found.numpy(), parity.arrays["single_plain_out"], rtol=0, atol=1e-5)


def test_the_references_last_hidden_states(parity: Parity, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = torch.from_numpy(parity.arrays["single_last_hidden"])
    ids = torch.from_numpy(parity.arrays["single_tokens"][: len(expected)]).long()
    pseudo = torch.from_numpy(parity.arrays["single_pseudo"][: len(expected)])
    embeddings = torch.where((ids == 259)[..., None], pseudo[:, None], parity.quick.embed_tokens(ids))
    monkeypatch.setattr(parity.quick.tower, "text_projection", None)
    with torch.no_grad():
        for row, states in zip(
            embeddings, expected, strict=True
        ):  # each position in turn is read as if it were the end
            found = parity.quick.encode_embeddings(row.expand(77, -1, -1), torch.arange(77))
            assert torch.allclose(found, states, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["single_out", "multi_out_replace_all", "two_out", "star_out"])
def test_pieces_are_tokenised_as_the_whole_prompt_is(case: str, parity: Parity) -> None:
    group, slot, _ = CASES[case]
    spliced, ids = parity.spliced(case), torch.from_numpy(parity.arrays[f"{group}_tokens"]).long()
    assert torch.equal(spliced.ends, ids.argmax(1))
    theirs = parity.quick.embed_tokens(ids[:, : spliced.embeddings.shape[1]])
    slots = (ids == {"$": 259, "$ $": 259, "*": 265}[slot])[:, : theirs.shape[1]]
    behind = torch.arange(theirs.shape[1]) > spliced.ends[:, None]
    assert slots.any(1).all() and torch.equal(spliced.embeddings[~(slots | behind)], theirs[~(slots | behind)])
