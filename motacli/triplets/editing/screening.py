"""Which captions are left alone: those that are no English, or do not describe a picture."""

from __future__ import annotations

import re

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.vocabulary import Vocabulary

CODE = re.compile(r"https?:|www\.|[<>{}\[\]#@\\^~`]|_{2,}|\.(?:jpe?g|png|gif|com|org)\b")
LONGEST = 150
ENGLISH = 0.3
"""The share of words that have to be known."""
ABSTRACT_ENDS = re.compile(r"(?:ness|ism|ity|tion|sion|ment|ance|ence|ship|dom|hood|ology|acy|tude)s?$")
EMPTY = frozenset(("abstract", "measure", "text"))


def objection(caption: Caption, words: Vocabulary) -> str:
    """Why a caption is not edited, empty where it can be."""
    text, tokens = caption.text, caption.tokens
    letters = [c for c in text if c.isalpha()]
    if not tokens or not letters:
        return "no words"
    if len(tokens) > LONGEST:
        return "too long"
    if CODE.search(text):
        return "code or an address"
    if sum(c.isascii() for c in letters) < 0.9 * len(letters) or _is_foreign(caption, words):
        return "not English"
    return _not_a_picture(caption, words)


def _is_foreign(caption: Caption, words: Vocabulary) -> bool:
    plain = [t for t in caption.tokens if t.text[0].isalpha() and t.tag != "quote"]
    foreign = sum(t.low in words.lists["foreign"] for t in plain)
    known = sum(_is_known(t.low, words) for t in plain)
    return foreign >= 2 or known < ENGLISH * len(plain)


def _is_known(low: str, words: Vocabulary) -> bool:
    return (
        low in words.closed
        or low in words.nouns
        or low in words.plurals
        or low in words.adjectives
        or low in words.verbs
    )


def _not_a_picture(caption: Caption, words: Vocabulary) -> str:
    if caption.says(words.lists["addressed"]) or caption.text.rstrip().endswith("?"):
        return "speaks to somebody"
    at = next((i for i, t in enumerate(caption.tokens) if t.start >= caption.frame.start), 0)
    first = caption.tokens[at]
    if caption.tag(at) in ("rel", "pron", "aux") and not caption.opening:
        return "does not begin with a thing"
    if first.low in words.lists["imperatives"] and first.tag != "noun" and caption.subject is None:
        return "asks for something"
    if first.low in words.lists["imperatives"] and caption.tag(at + 1) in ("det", "num", "pron"):
        return "asks for something"
    if any(caption.low(verb) in words.lists["modal"] for verb in caption.finite):
        return "says what may be"
    return _nothing_to_see(caption)


def _nothing_to_see(caption: Caption) -> str:
    concrete = [p for p in caption.phrases if p.noun is not None and p.kind not in EMPTY]
    if not concrete:
        return "no known thing"
    main = caption.main
    if main is None:
        return (
            ""
            if caption.low(0) in ("in", "on", "at", "under", "near", "inside", "behind")
            else "does not begin with a thing"
        )
    if main.kind == "abstract" or (main.noun is None and ABSTRACT_ENDS.search(main.head.lower())):
        return "about nothing that can be seen"
    return ""
