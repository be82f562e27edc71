"""In which way features were computed: of one backbone, and yet not the same numbers.

Autocast rounds much more than the plain way does, and a GPU's JPEG decoder gives other pixels, so a cache holds rows of
one kind only. It belongs to the same backbone all the same: readers that ask for the backbone accept it, and
`mota cache info` shows it. Compiling, and the number of threads that a CPU computes with, are recorded and no more:
what they change is rounding, as another batch size does.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

PLAIN = {"autocast": "off", "decode": "cpu", "compile": "no", "threads": "1"}
"""What is recorded, and the values that are not: those of the plain way."""

ROUNDING = ("compile", "threads")
"""What may differ between the rows of one cache."""


def of_threads(device: torch.device, threads: int) -> dict[str, str]:
    """The record of so many threads on a device, by which its matrix products are cut where it is a CPU."""
    return {"threads": str(threads)} if torch.device(device).type == "cpu" and threads != 1 else {}


def unlike(kept: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """``autocast (bf16, not off)`` for each thing that may not differ and does; nothing where rows may be mixed."""
    pairs = {name: (kept.get(name, plain), wanted.get(name, plain)) for name, plain in PLAIN.items()}
    return ", ".join(
        f"{name} ({mine}, not {yours})"
        for name, (mine, yours) in pairs.items()
        if mine != yours and name not in ROUNDING
    )
