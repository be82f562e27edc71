"""Reads a picture's description out of a caption and writes one back: all that the rules know of a picture."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from random import Random

from motacli.triplets.lexicon import Lexicon

BACKGROUND = re.compile(r"\b(?:on|against|with|in front of) an? ((?:[\w-]+ ){0,3})(?:background|backdrop)\b")
SECOND = re.compile(
    r"(?:\b(?:and|next to|near|together with|with) (?P<before>an? (?:[\w-]+ ){0,2}?[\w-]+)"
    r"(?= beside it|$| on | at | in | near | against | with )(?: beside it)?)"
)
BACKGROUND_FORMS = ("on {} background", "against {} background", "with {} background", "in front of {} backdrop")
SECOND_FORMS = ("and {}", "next to {}", "with {} beside it", "together with {}", "near {}")
HEADS = ("", "", "a photo of ", "a picture of ", "an image of ", "there is ")


@dataclass(frozen=True)
class Description:
    """What a caption says; None where it says nothing. Values are meanings of the lexicon's classes."""

    noun: str
    count: str = "one"
    colour: str | None = None
    texture: str | None = None
    size: str | None = None
    noun2: str | None = None
    colour2: str | None = None
    position: str | None = None
    background: str | None = None
    pattern: str | None = None
    style: str | None = None


def with_article(phrase: str) -> str:
    """``a`` or ``an`` before a phrase."""
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def parse(caption: str, lexicon: Lexicon) -> Description | None:
    """The description in a caption, or None where no known noun is its subject."""
    text = " ".join(caption.lower().strip(" .").split())
    text, style = _take_style(text, lexicon)
    text, background, pattern = _take_background(text, lexicon)
    text, position = _take_phrase(text, lexicon, "position")
    text, texture = _take_texture_phrase(text, lexicon)
    text, noun2, colour2 = _take_second(text, lexicon)
    words = text.replace("a pair of", "two").replace("a single", "one").split()
    found = {kind: _first(words, lexicon, kind) for kind in ("noun", "colour", "texture", "size", "count")}
    if found["noun"] is None:
        return None
    return Description(
        noun=found["noun"],
        count=found["count"] or "one",
        colour=found["colour"],
        texture=texture or found["texture"],
        size=found["size"],
        noun2=noun2,
        colour2=colour2,
        position=position,
        background=background,
        pattern=pattern,
        style=style,
    )


def _first(words: list[str], lexicon: Lexicon, kind: str) -> str | None:
    return next((lexicon.names[kind][word] for word in words if word in lexicon.names[kind]), None)


def _take_style(text: str, lexicon: Lexicon) -> tuple[str, str | None]:
    for phrase, name in lexicon.names["style"].items():
        if text.startswith(phrase + " of "):
            return text[len(phrase) + 4 :], name
    return re.sub(r"^(a photo of|a picture of|an image of|there is|there are) ", "", text), None


def _take_background(text: str, lexicon: Lexicon) -> tuple[str, str | None, str | None]:
    match = BACKGROUND.search(text)
    if match is None:
        return text, None, None
    words = match.group(1).split()
    rest = (text[: match.start()] + text[match.end() :]).strip()
    return rest, _first(words, lexicon, "colour"), _first(words, lexicon, "pattern")


def _take_phrase(text: str, lexicon: Lexicon, kind: str) -> tuple[str, str | None]:
    for phrase, name in lexicon.names[kind].items():
        if phrase in text:
            return " ".join(text.replace(phrase, "", 1).split()), name
    return text, None


def _take_texture_phrase(text: str, lexicon: Lexicon) -> tuple[str, str | None]:
    for name, phrases in lexicon.texture_phrases.items():
        for phrase in sorted(phrases, key=len, reverse=True):
            if phrase in text:
                return " ".join(text.replace(phrase, "", 1).split()), name
    return text, None


def _take_second(text: str, lexicon: Lexicon) -> tuple[str, str | None, str | None]:
    match = SECOND.search(text)
    if match is None:
        return text, None, None
    words = match.group("before").split()
    noun = _first(words, lexicon, "noun")
    if noun is None:
        return text, None, None
    return text[: match.start()].strip(), noun, _first(words, lexicon, "colour")


def write(description: Description, lexicon: Lexicon, rng: Random) -> str:
    """A caption for a description."""
    head = lexicon.word("style", description.style, rng) + " of " if description.style else rng.choice(HEADS)
    parts = [_subject(description, lexicon, rng)]
    if description.position:
        parts.append(lexicon.word("position", description.position, rng))
    if description.noun2:
        parts.append(rng.choice(SECOND_FORMS).format(second_object(description, lexicon, rng)))
    inner = [
        lexicon.word(kind, name, rng)
        for kind, name in (("pattern", description.pattern), ("colour", description.background))
        if name
    ]
    if inner:
        parts.append(rng.choice(BACKGROUND_FORMS).format(with_article(" ".join(inner))))
    return head + " ".join(parts)


def second_object(description: Description, lexicon: Lexicon, rng: Random) -> str:
    """The second object with its article."""
    words = [lexicon.word("noun", description.noun2 or "", rng)]
    if description.colour2:
        words.insert(0, lexicon.word("colour", description.colour2, rng))
    return with_article(" ".join(words))


def _subject(description: Description, lexicon: Lexicon, rng: Random) -> str:
    several = description.count != "one"
    noun = lexicon.word("noun", description.noun, rng)
    as_phrase = description.texture is not None and rng.random() < 0.35
    words = [
        lexicon.word(kind, value, rng)
        for kind, value in (
            ("size", description.size),
            ("colour", description.colour),
            ("texture", description.texture),
        )
        if value and not (kind == "texture" and as_phrase)
    ]
    text = " ".join([*words, lexicon.plural(noun) if several else noun])
    text = f"{lexicon.word('count', description.count, rng)} {text}" if several else with_article(text)
    return (
        f"{text} {rng.choice(lexicon.texture_phrases[description.texture])}"
        if as_phrase and description.texture
        else text
    )


def without_second(description: Description) -> Description:
    """The description with its second object gone."""
    return replace(description, noun2=None, colour2=None)
