"""Replacements of stretches of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Splice:
    """``text`` in place of ``caption[start:end]``."""

    start: int
    end: int
    text: str


def apply(text: str, start: int, end: int, splices: Sequence[Splice]) -> str | None:
    """``text[start:end]`` after the splices, or None where two of them overlap or one reaches outside."""
    result, at = [], start
    for splice in sorted(set(splices), key=lambda splice: (splice.start, splice.end, splice.text)):
        if splice.start < at or splice.end > end:
            return None
        result += [text[at : splice.start], splice.text]
        at = splice.end
    return "".join([*result, text[at:end]])
