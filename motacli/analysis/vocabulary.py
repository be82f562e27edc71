"""The words of captions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

TOP = 25


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``words`` words in text, ``size`` different ones; ``hapax`` is the share of those that occur once.

    ``top`` are the commonest with their counts.
    """

    words: int
    size: int
    hapax: float
    top: tuple[tuple[str, int], ...]


def vocabulary(counts: Counter[str]) -> Vocabulary:
    """The vocabulary behind counts of words."""
    once = sum(n == 1 for n in counts.values())
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return Vocabulary(counts.total(), len(counts), once / len(counts) if counts else 0.0, tuple(top))
