"""Where a caption is set and what its light and weather are: phrases that other ones may replace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from motacli.triplets.editing.phrases import NounPhrase
from motacli.triplets.editing.tokens import Token
from motacli.triplets.editing.vocabulary import Vocabulary

LIGHT = re.compile(
    r",?\s+(?:(?:at|during) (?:the )?(?:sunset|sunrise|dawn|dusk|night|noon|midnight|twilight|nighttime|daytime)"
    r"|(?:on|in) an? (?:[a-z]+ ){0,2}(?:day|morning|afternoon|evening|night)"
    r"|under (?:a|the) (?:[a-z]+ ){0,3}sky"
    r"|in the (?:morning|evening|afternoon|rain|fog|mist|moonlight|sunlight|dark|sunshine|daytime"
    r"|early morning|late afternoon))"
    r"(?=$|[.,;!]|\s(?:on|in|at|with|near|by)\b)",
    re.I,
)
SETTING_KINDS = frozenset(("landscape", "room", "building", "structure", "sky", "ground", "stuff", "tree"))
PLACES = frozenset(("landscape", "room", "building", "structure", "sky"))
AFTER_SCENE = frozenset(("", "punct", "prep"))


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the caption."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Scene(Span):
    """Where the caption is set, such as ``on a sandy beach``; ``place`` is the part after the preposition."""

    group: str
    place: str
    phrase: int


def find_scene(text: str, tokens: Sequence[Token], phrases: Sequence[NounPhrase], words: Vocabulary) -> Scene | None:
    """The last phrase that says where the caption is set, if another one could stand in its place."""
    places = words.scenes["places"]
    for index in range(len(phrases) - 1, 0, -1):
        phrase = phrases[index]
        before = tokens[phrase.first - 1]
        if before.low not in places["prepositions"] or phrase.proper or phrase.noun is None:
            continue
        if phrase.first < 2 or (
            tokens[phrase.first - 2].tag not in ("noun", "unk", "ing", "part", "adv", "punct", "verb", "name", "pron")
        ):
            continue
        if before.low == "at" and tokens[phrase.first - 2].tag in ("ing", "verb", "part"):
            continue
        group = _group(phrase, words)
        if not group or (group in ("backdrop", "tabletop", "floor") and before.low not in ("on", "against")):
            continue
        last = phrase.last
        if _low(tokens, last + 1) == "of" and index + 1 < len(phrases) and phrases[index + 1].first == last + 2:
            last = phrases[index + 1].last
        follows = tokens[last + 1].tag if last + 1 < len(tokens) else ""
        if follows not in AFTER_SCENE or _low(tokens, last + 1) in (
            "of",
            "with",
            "full of",
            "covered with",
            "covered in",
            "for",
        ):
            continue
        start, end = before.start, tokens[last].end
        return Scene(start, end, text[start:end], group, text[phrase.start : end], index)
    return None


def _group(phrase: NounPhrase, words: Vocabulary) -> str:
    word = phrase.noun.word if phrase.noun else ""
    places = words.scenes["places"]
    return next((name for name, many in places.items() if name != "prepositions" and word in many), "")


def _low(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].low if at < len(tokens) else ""


def find_light(text: str, start: int, end: int) -> Span | None:
    """The last phrase that says what the light or the weather is."""
    found = None
    for match in LIGHT.finditer(text, start, end):
        found = Span(match.start(), match.end(), match.group())
    return found


def is_placed(tokens: Sequence[Token], phrases: Sequence[NounPhrase], words: Vocabulary) -> bool:
    """Whether the caption says in some way where its things are, so that a whole new scene would contradict it."""
    for phrase in phrases[1:]:
        before = tokens[phrase.first - 1].low
        if before in ("at", "during") or phrase.kind in PLACES:
            return True
        known = phrase.noun is not None and not phrase.proper and phrase.kind not in SETTING_KINDS
        if before in words.lists["locating"] and not known:
            return True
    return False
