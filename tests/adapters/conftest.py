"""What tests of adapters share."""

from __future__ import annotations

import pytest
import torch

from motacli.inversions.pic2word import Pic2Word


@pytest.fixture(scope="session")
def inversion() -> Pic2Word:
    """An inversion network for the tiny CLIP with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Pic2Word(joint_dim=128, text_width=160).eval().requires_grad_(False)
