"""How varied a set of captions is, in numbers that do not grow or shrink with the size of the set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

CAPTIONS = 1000
"""Captions that the numbers are of: all of them depend on how much text there is, so that it must be the same."""
SEGMENT = 1000
"""Words of a segment whose type-token ratio is taken."""
MTLD_THRESHOLD = 0.72


@dataclass(frozen=True, slots=True)
class Diversity:
    """Lexical diversity of ``captions`` captions with ``words`` words; None where there are too few words."""

    captions: int
    words: int
    ttr: float | None
    distinct_1: float | None
    distinct_2: float | None
    distinct_3: float | None
    mtld: float | None


def lexical_diversity(captions: Sequence[Sequence[str]]) -> Diversity:
    """The diversity of the first `CAPTIONS` captions, given as words; they should be in random order."""
    used = captions[:CAPTIONS]
    flat = [word for caption in used for word in caption]
    return Diversity(
        captions=len(used),
        words=len(flat),
        ttr=segmental_ttr(flat),
        distinct_1=distinct_n(used, 1),
        distinct_2=distinct_n(used, 2),
        distinct_3=distinct_n(used, 3),
        mtld=mtld(flat),
    )


def segmental_ttr(words: Sequence[str], segment: int = SEGMENT) -> float | None:
    """Mean segmental type-token ratio: distinct words over words, averaged over consecutive segments of equal length.

    What is left over at the end is not used, and fewer words than one segment give None. Johnson, Studies in language
    behavior: I. A program of research, Psychological Monographs 56(2), 1944.
    """
    starts = range(0, len(words) - segment + 1, segment)
    return fmean(len(set(words[start : start + segment])) / segment for start in starts) if starts else None


def distinct_n(captions: Sequence[Sequence[str]], n: int) -> float | None:
    """Distinct n-grams over n-grams, none of which reaches across two captions.

    Li et al., A Diversity-Promoting Objective Function for Neural Conversation Models, NAACL 2016, which divides by the
    number of words instead; for n = 1 the two are the same.
    """
    grams = [tuple(words[i : i + n]) for words in captions for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def mtld(words: Sequence[str], threshold: float = MTLD_THRESHOLD) -> float | None:
    """Measure of textual lexical diversity: the mean length of runs of words that keep a type-token ratio.

    A factor is complete, and counting starts anew, when the ratio of the words since the last one falls to the
    threshold; the words left over are ``(1 - ratio) / (1 - threshold)`` of one. MTLD is words over factors, averaged
    over reading forwards and backwards; None where no word comes twice. McCarthy and Jarvis, MTLD, vocd-D, and HD-D,
    Behavior Research Methods 42(2), 381-392, 2010.
    """
    factors = [_factors(words, threshold), _factors(words[::-1], threshold)]
    return fmean(len(words) / count for count in factors) if all(factors) else None


def _factors(words: Sequence[str], threshold: float) -> float:
    complete, length, ratio = 0, 0, 1.0
    types: set[str] = set()
    for word in words:
        types.add(word)
        length += 1
        ratio = len(types) / length
        if ratio <= threshold:
            complete, length, ratio = complete + 1, 0, 1.0
            types.clear()
    return complete + (1 - ratio) / (1 - threshold)
