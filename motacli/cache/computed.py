"""In which way features were computed: of one backbone, and yet not the same numbers.

Autocast rounds much more than the plain way does, and a GPU's JPEG decoder gives other pixels, so a cache holds rows of
one kind only. It belongs to the same backbone all the same: readers that ask for the backbone accept it, and
`mota cache info` shows it. Compiling is recorded and no more: what it changes is rounding, as another batch size does.
"""

from __future__ import annotations

from collections.abc import Mapping

PLAIN = {"autocast": "off", "decode": "cpu", "compile": "no"}
"""What is recorded, and the values that are not: those of the plain way."""

ROUNDING = ("compile",)
"""What may differ between the rows of one cache."""


def unlike(kept: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """``autocast (bf16, not off)`` for each thing that may not differ and does; nothing where rows may be mixed."""
    pairs = {name: (kept.get(name, plain), wanted.get(name, plain)) for name, plain in PLAIN.items()}
    return ", ".join(
        f"{name} ({mine}, not {yours})"
        for name, (mine, yours) in pairs.items()
        if mine != yours and name not in ROUNDING
    )
