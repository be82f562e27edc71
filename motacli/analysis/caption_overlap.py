"""How much of one caption another one shares, by words."""

from __future__ import annotations

from collections.abc import Sequence, Set


def jaccard(one: Set[str], other: Set[str]) -> float:
    """Words that both have over words that either has; 1 where neither has any."""
    union = len(one | other)
    return len(one & other) / union if union else 1.0


def overlap_coefficient(one: Set[str], other: Set[str]) -> float:
    """Words that both have over the words of the smaller (Szymkiewicz and Simpson); 1 where that has none."""
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 1.0


def repeats(text: Sequence[str], part: Sequence[str]) -> bool:
    """Whether the words ``part`` occur in ``text``, in a row."""
    return bool(part) and f" {' '.join(part)} " in f" {' '.join(text)} "
