"""Says of each word of a caption what it is there: a closed class, noun, adjective or form of a verb."""

from __future__ import annotations

import re
from collections.abc import Sequence

from motacli.triplets.editing.tokens import ENDS, Token
from motacli.triplets.editing.vocabulary import Vocabulary

ADJECTIVE_ENDS = re.compile(
    r"(?:ful|ous|less|ish|ive|[ai]ble|esque|-like|shaped|sized|colou?red|-style|-themed|ical|ese|-old|free|proof)$"
)
LIVELY = frozenset(
    (
        "person",
        "people",
        "pet",
        "beast",
        "small_animal",
        "bird",
        "sea_animal",
        "insect",
        "character",
        "road_vehicle",
        "cycle",
        "train",
        "boat",
        "aircraft",
        "spacecraft",
        "sky",
    )
)
BEFORE_NOUN = frozenset(("det", "num", "adj", "poss", "prep", "conj", "punct", ""))
"""Tags after which a word that may be noun or verb is a noun; the empty one stands for the start."""
ARTICLES = ("a", "an", "the", "his", "her", "its", "their")
POSED = ("tall", "still", "upright", "proud", "firm", "alone")
"""Adjectives that follow verbs as adverbs do: ``stands tall``."""


def tag(tokens: Sequence[Token], words: Vocabulary, title_case: bool) -> None:
    """Fill in the tags of all tokens."""
    before: Token | None = None
    for at, token in enumerate(tokens):
        if not token.tag:
            _tag(token, before, tokens[at + 1] if at + 1 < len(tokens) else None, words, title_case)
        before = token


def _starts(before: Token | None) -> bool:
    return before is None or before.low in (*ENDS, ":") or before.tag == "quote"


def _tag(token: Token, before: Token | None, after: Token | None, words: Vocabulary, title_case: bool) -> None:
    low, previous = token.low, before.tag if before else ""
    if not token.text[0].isalnum():
        token.tag = "punct" if low != "&" else "conj"
    elif token.text[0].isdigit():
        token.tag = "num"
    elif "'s" in low[-2:] and low not in words.closed:
        token.tag = "poss"
    elif low in words.closed and not (low == "opposite" and previous == "det"):
        token.tag = _closed(low, words.closed[low], previous, after, words)
    elif _is_name(token, before, words, title_case):
        token.tag = "name"
        _name_noun(token, words)
    else:
        _open(token, before, after, words)


def _closed(low: str, tag: str, previous: str, after: Token | None, words: Vocabulary) -> str:
    follows = after is not None and (
        after.low in words.nouns or after.low in words.plurals or after.low in words.adjectives
    )
    if low == "that":
        return "rel" if previous in ("noun", "unk", "name") or not follows else "det"
    if low in ("this", "these", "those", "both", "all", "either") and after is not None and after.low in words.closed:
        return "pron" if words.closed[after.low] in ("aux", "prep") else tag
    if low == "her" and (after is None or after.low in words.closed or not after.text[0].isalpha()):
        return "pron"
    return tag


def _is_name(token: Token, before: Token | None, words: Vocabulary, title_case: bool) -> bool:
    if title_case or not token.text[0].isupper():
        return False
    if _starts(before):
        return False
    if words.adjectives.get(token.low) == "origin":
        return False
    return not (token.text.isupper() and token.low in words.nouns)


def _name_noun(token: Token, words: Vocabulary) -> None:
    noun = words.nouns.get(token.low)
    if noun is None and token.low in words.plurals:
        token.plural = True


def _open(token: Token, before: Token | None, after: Token | None, words: Vocabulary) -> None:
    low = token.low
    noun = words.nouns.get(low)
    plural = words.plurals.get(low)
    verb = words.verbs.get(low)
    if low in words.adjectives and not (noun and not _can_modify(after, words)):
        token.tag, token.kind = "adj", words.adjectives[low]
    elif (noun or plural) and not (verb and _is_verb(verb.form, token, before, after, plural is not None, words)):
        token.tag, token.noun = "noun", noun or plural
        token.plural = plural is not None and (noun is None or noun.only_plural)
    elif verb:
        token.tag = _verb_tag(verb.form, before)
    elif low in words.adjectives:
        token.tag, token.kind = "adj", words.adjectives[low]
    else:
        token.tag = _unknown(low)
        token.kind = "other" if token.tag == "adj" else ""
        token.plural = token.tag == "unk" and low.endswith("s") and not low.endswith(("ss", "us", "is"))


def _can_modify(after: Token | None, words: Vocabulary) -> bool:
    """Whether the next word lets this one be an adjective before it."""
    if after is None or not after.text[0].isalpha() or after.tag == "quote":
        return False
    low = after.low
    if low in words.closed:
        return False
    if low in words.nouns or low in words.plurals or low in words.adjectives:
        return True
    return low not in words.verbs and not low.endswith(("ing", "ed"))


def _is_verb(
    form: str, token: Token, before: Token | None, after: Token | None, plural: bool, words: Vocabulary
) -> bool:
    if before is None or before.tag in BEFORE_NOUN:
        return form == "ing" and before is not None and before.tag in ("conj", "punct") and _has_object(after, words)
    if form == "ing":
        return (
            before.tag in ("aux", "adv", "pron")
            or (before.noun is not None and before.noun.kind in LIVELY)
            or _has_object(after, words)
        )
    if before.tag in ("pron", "rel", "aux"):
        return True
    if before.tag in ("noun", "name", "unk"):
        lively = before.noun is None or before.noun.kind in LIVELY
        agrees = before.plural if form == "base" else not before.plural
        if not agrees or form not in ("base", "third") or (form == "third" and not plural):
            return False
        if before.noun is not None and lively:
            return True
        return form == "third" and _has_adverb(after, words)
    return False


def _has_object(after: Token | None, words: Vocabulary) -> bool:
    return after is not None and words.closed.get(after.low) in ("det", "num")


def _has_adverb(after: Token | None, words: Vocabulary) -> bool:
    if after is None:
        return False
    return after.low.endswith("ly") or words.closed.get(after.low) == "adv" or after.low in (*ARTICLES, *POSED)


def _verb_tag(form: str, before: Token | None) -> str:
    previous = before.tag if before else ""
    if form == "ing":
        return "ing"
    if form == "participle":
        return "part"
    if previous == "prep" and form == "base":
        return "inf"
    if form == "base" and before is not None and before.noun is not None and not before.plural:
        return "unk"
    if form == "past":
        return "verb" if previous not in ("det", "adj", "num", "poss") else "unk"
    if previous in ("det", "adj", "num", "poss") or (previous in ("", "punct") and form == "base"):
        return "unk"
    return "verb"


def _unknown(low: str) -> str:
    if len(low) > 5 and low.endswith("ing"):
        return "ing"
    if len(low) > 4 and low.endswith("ed"):
        return "part"
    if len(low) > 4 and low.endswith("ly"):
        return "adv"
    if len(low) > 5 and ADJECTIVE_ENDS.search(low):
        return "adj"
    return "unk"
