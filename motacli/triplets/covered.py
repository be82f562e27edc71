"""Which captions the description in `motacli.triplets.description` accounts for word by word."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from motacli.triplets.lexicon import load_lexicon

GENERIC = ("object", "shape", "thing")
"""Nouns that the tiny world's captions use where they do not say which shape it is."""
PATTERN = r"""
    (?: (?:{style})\ of\  | (?:a\ photo|a\ picture|an\ image)\ of\  | there\ (?:is|are)\  )?
    (?:an?|{count})\ (?:(?:{adjective})\ )*(?:{noun})
    (?:\ (?:{texture}))? (?:\ (?:{position}))?
    (?:\ (?:and|next\ to|near|together\ with|with)\ an?\ (?:(?:{colour})\ )?(?:{noun})(?:\ beside\ it)?)?
    (?:\ (?:{position}))?
    (?:\ (?:on|against|with|in\ front\ of)\ an?\ (?:(?:{pattern})\ )?(?:(?:{colour})\ )?(?:background|backdrop))?
"""


def is_covered(caption: str) -> bool:
    """Whether every word of a caption belongs to the tiny world's grammar."""
    return _grammar().fullmatch(" ".join(caption.lower().strip(" .").split())) is not None


@cache
def _grammar() -> re.Pattern[str]:
    names = load_lexicon().names
    nouns = [*names["noun"], *GENERIC, *(f"{word}s" for word in GENERIC)]
    adjectives = [*names["size"], *names["colour"], *names["texture"]]
    textures = [phrase for phrases in load_lexicon().texture_phrases.values() for phrase in phrases]
    parts = {"noun": nouns, "adjective": adjectives, "texture": textures}
    parts |= {kind: list(names[kind]) for kind in ("style", "count", "position", "colour", "pattern")}
    return re.compile(PATTERN.format(**{kind: _any(words) for kind, words in parts.items()}), re.VERBOSE)


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
