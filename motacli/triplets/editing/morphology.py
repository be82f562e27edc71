"""The few endings of English that edits need: plurals, articles, forms of verbs."""

from __future__ import annotations

import re
from collections.abc import Mapping

VOWELS = "aeiou"
CONSONANT_SOUND = re.compile(
    r"(?:uni(?!n[dfhtsjv]|mp)|us[aeiu]|eu|ew|one\b|once\b|ukulele|utensil|u[fk]?[-\b]|ufo|u\.)", re.I
)
VOWEL_SOUND = re.compile(r"(?:hour|honest|honou?r\b|heir|8|11\b|18\b)", re.I)
SPELLED = re.compile(r"[AEFHILMNORSX](?:[A-Z]{1,4}\b|-)")
"""Abbreviations whose first letter is pronounced with a vowel first, such as SUV."""
DOUBLED = re.compile(r"^[^aeiou]*[aeiou][bdgklmnprt]$")


def with_article(phrase: str) -> str:
    """``a`` or ``an`` before a phrase."""
    first = phrase.lstrip("\"'\u201c\u2018")
    vowel = (first[:1].lower() in VOWELS and not CONSONANT_SOUND.match(first)) or VOWEL_SOUND.match(first)
    return f"an {phrase}" if vowel or SPELLED.match(first) else f"a {phrase}"


def plural_of(noun: str, irregular: Mapping[str, str]) -> str:
    """The plural of a noun; of several words the last one changes."""
    head, _, last = noun.rpartition(" ")
    if noun in irregular:
        return irregular[noun]
    if last in irregular:
        plural = irregular[last]
    elif re.search(r"(?:s|x|z|ch|sh)$", last):
        plural = last + "es"
    elif re.search(r"[^aeiou]y$", last):
        plural = last[:-1] + "ies"
    else:
        plural = last + "s"
    return f"{head} {plural}" if head else plural


def verb_forms(base: str) -> tuple[str, str, str, str]:
    """Third person, past, participle and -ing form of a regular verb."""
    third = plural_of(base, {})
    if base.endswith("ee"):
        return third, base + "d", base + "d", base + "ing"
    if base.endswith("e"):
        return third, base + "d", base + "d", base[:-1] + "ing"
    if re.search(r"[^aeiou]y$", base):
        return third, base[:-1] + "ied", base[:-1] + "ied", base + "ing"
    stem = base + base[-1] if DOUBLED.match(base) else base
    return third, stem + "ed", stem + "ed", stem + "ing"


def capitalised(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def lowered(text: str) -> str:
    """The text with a small first letter."""
    return text[:1].lower() + text[1:]
