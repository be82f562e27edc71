"""What stands around the description itself: ``a photo of`` before it, ``, oil on canvas`` after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from motacli.triplets.editing.tokens import Token
from motacli.triplets.editing.vocabulary import Vocabulary

SEPARATOR = re.compile(r"\.\s+|,\s*|;\s*|\s[-–—|]+\s|:\s")
SOURCE = re.compile(r"\s(?:[|–—]|-)\s[^|]*$")
MANNER = re.compile(r",?\s+(?:in|by) the style of [^,.]*$", re.I)
LINKS = ("of", "showing", "depicting")


@dataclass(frozen=True, slots=True)
class Frame:
    """The description is ``text[start:end]``; ``head`` names what kind of picture the caption says it is.

    ``view`` says that the head is a viewpoint, ``tail`` that a manner of making follows the description.
    """

    start: int
    end: int
    head: str = ""
    view: bool = False
    tail: bool = False
    first: int = 0


def frame_of(text: str, tokens: Sequence[Token], words: Vocabulary) -> Frame:
    """The frame of a caption."""
    end, tail = _tail_start(text, words)
    found = _head(tokens, words) if not words.lists["shown_on"] & {token.low for token in tokens} else None
    if found is None:
        return Frame(0, end, tail=tail)
    head, first, view = found
    if tokens[first].start >= end:
        return Frame(0, len(text.rstrip()))
    return Frame(
        tokens[first].start, end, head=text[tokens[0].start : tokens[head].end], view=view, tail=tail, first=first
    )


def _head(tokens: Sequence[Token], words: Vocabulary) -> tuple[int, int, bool] | None:
    """Where the head's noun is, where the description starts, and whether the head is a viewpoint."""
    heads, modifiers = words.scenes["styles"]["heads"], words.scenes["styles"]["modifiers"]
    at = 1 if tokens and tokens[0].low in ("a", "an") else 0
    while at + 2 < len(tokens):
        low = tokens[at].low
        if low in heads and tokens[at + 1].low in LINKS:
            views = words.scenes["styles"]["views"]
            return at, at + 2, low in views
        if not (low in heads or low in ("-", ",") or all(part in modifiers for part in low.split())):
            return None
        at += 1
    return None


def _tail_start(text: str, words: Vocabulary) -> tuple[int, bool]:
    """Where the description ends, and whether what follows says how the picture was made."""
    end, tail = len(text.rstrip()), False
    source = SOURCE.search(text)
    if source and source.start() > end / 3:
        end = source.start()
    manner = MANNER.search(text, 0, end)
    if manner and manner.start() > 0:
        end, tail = manner.start(), True
    for mark in reversed(list(SEPARATOR.finditer(text, 0, end))):
        if not _is_manner(text[mark.end() : end], words):
            break
        end, tail = mark.start(), True
    return end, tail


def _is_manner(piece: str, words: Vocabulary) -> bool:
    parts = re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", piece.lower())
    known, marks = words.lists["tails"], words.lists["tail_marks"]
    return bool(parts) and known.issuperset(parts) and not marks.isdisjoint(parts)
