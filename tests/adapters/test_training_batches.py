"""How a training step gets its rows, and that computing them in chunks changes nothing."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch

from motacli.adapters.batches import shuffled_batches
from motacli.adapters.computing import Composer
from motacli.adapters.mota import MotaAdapter, MotaOptions
from motacli.compose import tokenize_prompt
from motacli.contracts import Prompt
from motacli.inversions.pic2word import Pic2Word

TEXTS = ["is green", "", "add a large striped star next to it and make the background black", "red", "a big red star"]


def test_every_pass_shows_every_row_once() -> None:
    batches = list(islice(shuffled_batches(12, 4, np.random.default_rng(0)), 6))
    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert sorted(first) == sorted(second) == list(range(12)) and first.tolist() != second.tolist()


def test_what_a_pass_leaves_over_comes_first_in_the_next() -> None:
    batches = list(islice(shuffled_batches(5, 3, np.random.default_rng(0)), 5))
    assert sorted(np.concatenate(batches)[:5]) == list(range(5)) and all(len(batch) == 3 for batch in batches)
    assert len(next(shuffled_batches(5, 8, np.random.default_rng(0)))) == 5


def test_chunks_give_what_one_call_gives(tiny_backbone: Any) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inversion = Pic2Word(joint_dim=128, text_width=160).eval().requires_grad_(False)
        adapter = MotaAdapter(tiny_backbone, MotaOptions(experts=2, tokens=2)).eval()
    prompts = [tokenize_prompt(tiny_backbone, Prompt("a photo of", text)) for text in TEXTS]
    features = torch.randn(len(TEXTS), 128, generator=torch.Generator().manual_seed(1))
    composed, gates = adapter(tiny_backbone, inversion, features, prompts)
    chunked = Composer(adapter, tiny_backbone, inversion, chunk=2)(features, prompts)
    assert torch.allclose(chunked.composed, composed, atol=1e-4) and torch.allclose(chunked.gates, gates, atol=1e-6)
    chunked.backward(torch.ones_like(composed), None)
    assert adapter.prompts.experts.grad is not None
