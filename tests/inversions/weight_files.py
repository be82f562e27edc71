"""Small networks and files of their weights, as authors and accidents leave them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from motacli.inversions.searle import Searle


def backbone(joint_dim: int = 6, text_width: int = 10, fingerprint: str = "f00d") -> Any:
    """What of a backbone an inversion's file is checked against."""
    return SimpleNamespace(
        name="small",
        joint_dim=joint_dim,
        text_width=text_width,
        device=torch.device("cpu"),
        fingerprint=lambda: fingerprint,
    )


def network(build: Any = Searle, hidden: int = 7) -> nn.Module:
    """The same small network every time."""
    torch.manual_seed(0)
    phi: nn.Module = build(joint_dim=6, text_width=10, hidden=hidden)
    return phi.eval()


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two networks have the same weights by the same names."""
    one, two = a.state_dict(), b.state_dict()
    return list(one) == list(two) and all(torch.equal(one[key], two[key]) for key in one)


def module_keys(state: dict[str, Any]) -> dict[str, Any]:
    """Keys as a network wrapped for several GPUs has them."""
    return {f"module.{key}": value for key, value in state.items()}


class Attack:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def write(path: Path, value: Any) -> Path:
    """Bytes as they are, anything else as torch saves it."""
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        torch.save(value, path)
    return path
