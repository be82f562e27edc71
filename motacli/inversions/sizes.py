"""How wide an inversion network is, read from its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from torch import Tensor

from motacli.errors import DataError


@dataclass(frozen=True)
class Sizes:
    """``d``, ``w`` and the width between them: the keyword arguments that build the network."""

    joint_dim: int
    text_width: int
    hidden: int

    @classmethod
    def of(cls, state: Mapping[str, Tensor], first: str, last: str) -> Sizes:
        """From the matrices ``first`` ``(hidden, d)`` and ``last`` ``(w, hidden)``; `DataError` unless they fit."""
        for key in (first, last):
            if key not in state or state[key].ndim != 2:
                there = ", ".join(islice(state, 3)) or "nothing"
                raise DataError(f"there is no matrix {key!r}, only {there}" + (", ..." if len(state) > 3 else ""))
        hidden, joint_dim = state[first].shape
        if state[last].shape[1] != hidden:
            raise DataError(f"{first!r} gives {hidden} numbers and {last!r} takes {state[last].shape[1]}")
        return cls(joint_dim=joint_dim, text_width=state[last].shape[0], hidden=hidden)
