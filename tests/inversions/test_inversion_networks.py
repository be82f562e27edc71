"""The networks: shapes, names as in the authors' files, and their published outputs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from motacli.inversions.files import read_inversion
from motacli.inversions.lincir import LinCIR
from motacli.inversions.pic2word import Pic2Word
from motacli.inversions.searle import Searle

SMALL = SimpleNamespace(name="small", joint_dim=48, text_width=64, device=torch.device("cpu"))
"""A backbone of the dimensions of the reference checkpoints."""
PHI_KEYS = {f"layers.{i}.{kind}" for i in (0, 3, 6) for kind in ("weight", "bias")}
PIC2WORD_KEYS = {f"{layer}.{kind}" for layer in ("fc_out", "layers.0.0", "layers.1.0") for kind in ("weight", "bias")}


@pytest.mark.parametrize(("build", "keys"), [(Searle, PHI_KEYS), (LinCIR, PHI_KEYS), (Pic2Word, PIC2WORD_KEYS)])
def test_shapes_and_names(build: Any, keys: set[str]) -> None:
    phi = build(joint_dim=6, text_width=10, hidden=7)
    assert phi(torch.randn(4, 6)).shape == (4, 1, 10)
    assert set(phi.state_dict()) == keys
    sizes = build.sizes(phi.state_dict())
    assert (sizes.joint_dim, sizes.text_width, sizes.hidden) == (6, 10, 7)


@pytest.mark.parametrize(
    ("build", "dim", "parameters"),
    [(Searle, 512, 6_296_064), (LinCIR, 768, 14_162_688), (Pic2Word, 512, 787_968), (Pic2Word, 768, 1_050_368)],
)
def test_parameter_counts_are_the_authors(build: Any, dim: int, parameters: int) -> None:
    with torch.device("meta"):
        phi: nn.Module = build(joint_dim=dim, text_width=dim)
    assert sum(p.numel() for p in phi.parameters()) == parameters


@pytest.mark.parametrize("build", [Searle, LinCIR, Pic2Word])
def test_dropout_acts_in_training_only(build: Any) -> None:
    phi, features = build(joint_dim=16, text_width=8, dropout=0.5), torch.randn(3, 16)
    assert not torch.equal(phi.train()(features), phi(features))
    assert torch.equal(phi.eval()(features), phi(features))


@pytest.mark.parametrize("build", [Searle, LinCIR, Pic2Word])
def test_the_references_outputs(build: Any, shared: Path) -> None:
    path = shared / "golden" / "phi" / f"{build.name}.pt"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    phi, arrays = read_inversion(path, build, SMALL), np.load(path.with_suffix(".npz"))  # type: ignore[arg-type]
    found = phi(torch.from_numpy(arrays["input"]))[:, 0]
    np.testing.assert_allclose(found.numpy(), arrays["output"], atol=1e-5)
    assert not phi.training and not any(p.requires_grad for p in phi.parameters())
