"""The text tower from token embeddings: padding, trimming, prompts in deep layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from motacli.text_tower import pad_tokens, text_features

ROWS = [[1, 7, 9, 4, 2], [1, 2], [1, 30, 31, 32, 33, 34, 35, 2]]


def features(backbone: Any, rows: list[list[int]], length: int | None = None) -> torch.Tensor:
    batch = pad_tokens(rows)
    ids = batch.ids
    if length is not None:
        ids = torch.nn.functional.pad(ids, (0, length - ids.shape[1]), value=17)
    return text_features(backbone.tower, backbone.embed_tokens(ids), batch.ends)


def test_padding_is_behind_the_end() -> None:
    batch = pad_tokens(ROWS)
    assert batch.ids.shape == (3, 8) and batch.ends.tolist() == [4, 1, 7]
    assert batch.ids[1].tolist() == [1, 2, 0, 0, 0, 0, 0, 0]


def test_neighbours_and_padding_change_nothing(tiny_backbone: Any) -> None:
    together = features(tiny_backbone, ROWS)
    alone = torch.cat([features(tiny_backbone, [row]) for row in ROWS])
    assert torch.allclose(together, alone, atol=1e-4) and together.norm(dim=1).min() > 1
    for length in (9, 30, tiny_backbone.context_length):
        assert torch.allclose(features(tiny_backbone, ROWS, length), together, atol=1e-4)


def test_the_feature_is_read_at_the_end_token(tiny_backbone: Any) -> None:
    embeddings = tiny_backbone.embed_tokens(torch.tensor([ROWS[2]]))
    ends = torch.arange(1, 8)
    found = text_features(tiny_backbone.tower, embeddings.expand(7, -1, -1), ends)
    for position, row in zip(ends.tolist(), found, strict=True):
        cut = text_features(tiny_backbone.tower, embeddings[:, : position + 1], torch.tensor([position]))
        assert torch.allclose(row, cut[0], atol=1e-4)


@pytest.fixture
def layer_inputs(tiny_backbone: Any) -> Any:
    """What each layer of the tower receives."""
    seen: list[torch.Tensor] = []
    firsts = [block.ln_1 for block in tiny_backbone.tower.transformer.resblocks]
    hooks = [first.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone())) for first in firsts]
    yield seen
    for hook in hooks:
        hook.remove()


def test_deep_prompts_replace_positions_one_to_m_of_their_layers(tiny_backbone: Any, layer_inputs: Any) -> None:
    batch = pad_tokens(ROWS[::2])
    embeddings = tiny_backbone.embed_tokens(batch.ids)
    text_features(tiny_backbone.tower, embeddings, batch.ends)
    deep = torch.randn(2, 1, 2, tiny_backbone.text_width, generator=torch.Generator().manual_seed(0))
    text_features(tiny_backbone.tower, embeddings, batch.ends, deep)
    plain, prompted = layer_inputs[:3], layer_inputs[3:]
    assert torch.equal(plain[0], prompted[0])
    assert torch.equal(prompted[1][:, 1:3], deep[:, 0])
    assert torch.equal(prompted[1][:, :1], plain[1][:, :1]) and torch.equal(prompted[1][:, 3:], plain[1][:, 3:])
    # Layer 3 gets no prompts of its own: only what layer 2 made of its input, and the start token saw none of that.
    assert torch.allclose(prompted[2][:, :1], plain[2][:, :1], atol=1e-5)
    assert (prompted[2][:, 1:] - plain[2][:, 1:]).abs().amax(dim=(0, 2)).min() > 1e-3


def test_reading_only_the_end_tokens_changes_nothing(tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = pad_tokens(ROWS)
    embeddings = tiny_backbone.embed_tokens(batch.ids)
    deep = torch.randn(len(ROWS), 1, 2, tiny_backbone.text_width, generator=torch.Generator().manual_seed(0))
    found = text_features(tiny_backbone.tower, embeddings, batch.ends, deep)
    monkeypatch.setattr("motacli.text_tower.ResidualAttentionBlock", None)  # an unknown kind of block is run in full
    full = text_features(tiny_backbone.tower, embeddings, batch.ends, deep)
    assert torch.allclose(found, full, atol=1e-5) and not torch.equal(found, full)


def test_gradients_reach_deep_prompts(tiny_backbone: Any) -> None:
    batch = pad_tokens(ROWS)
    deep = torch.zeros(3, 2, 1, tiny_backbone.text_width, requires_grad=True)
    text_features(tiny_backbone.tower, tiny_backbone.embed_tokens(batch.ids), batch.ends, deep).sum().backward()
    assert deep.grad is not None and deep.grad.abs().amax(dim=(2, 3))[0].min() > 0
    assert all(p.grad is None for p in tiny_backbone.model.parameters())
