"""The things of a caption that edits may take hold of: which they are, how they are called, how they are rewritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.morphology import capitalised, with_article
from motacli.triplets.editing.phrases import Modifier, NounPhrase
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.vocabulary import Noun

VAGUE = frozenset(("measure", "abstract", "text", "stuff", "ground", "part", "unknown", "sky"))
"""Kinds that no edit of a thing takes hold of."""
KEPT_NOUN = frozenset(
    ("object", "thing", "item", "shape", "figure", "set", "top", "pair", "group", "class", "band", "background", "fall")
)
HOLDING = frozenset(("container", "carried"))


def things(caption: Caption) -> Iterator[NounPhrase]:
    """Phrases of known things that are named once, and are neither part of a name nor of a fixed expression."""
    counts: dict[str, int] = {}
    for phrase in caption.phrases:
        if phrase.noun:
            counts[phrase.noun.word] = counts.get(phrase.noun.word, 0) + 1
    for phrase in caption.phrases:
        if phrase.noun is None or phrase.proper or phrase.kind in VAGUE or phrase.noun.word in KEPT_NOUN:
            continue
        if counts[phrase.noun.word] > 1 or phrase.determiner in (
            "no",
            "each",
            "every",
            "any",
            "both",
            "another",
            "either",
        ):
            continue
        follows = caption.low(phrase.last + 1)
        if follows in ("-", "'", "/", "&") or caption.tag(phrase.last + 1) in ("name", "quote", "noun", "unk", "num"):
            continue
        if follows == "of" and phrase.kind not in HOLDING:
            continue
        if caption.low(phrase.first - 1) in ("-", "/", "&", "like", "as", "than", "without", "no"):
            continue
        yield phrase


def be(phrase: NounPhrase) -> Mapping[str, str]:
    """Forms of verbs that agree with a phrase."""
    many = is_many(phrase)
    return {"is": "are", "was": "were", "has": "have"} if many else {"is": "is", "was": "was", "has": "has"}


def is_many(phrase: NounPhrase) -> bool:
    """Whether a phrase takes the plural."""
    return phrase.plural or (
        phrase.noun is not None
        and (phrase.noun.only_plural or phrase.noun.word in ("people", "men", "women", "children", "kids"))
    )


def called(phrase: NounPhrase) -> str:
    """What a relative caption calls a thing."""
    return phrase.head.lower()


def written(noun: Noun, plural: bool) -> str:
    """A noun in the singular or plural."""
    return noun.plural if plural else noun.word


def rewritten(
    caption: Caption,
    phrase: NounPhrase,
    modifiers: Sequence[str] | None = None,
    noun: str | None = None,
    number: str | None = None,
) -> Splice:
    """The phrase with other words; its article follows them. A new ``number`` takes the place of an article."""
    texts = [m.text for m in phrase.modifiers] if modifiers is None else list(modifiers)
    inner = " ".join([*texts, noun or phrase.head])
    counted = phrase.number if number is None else number
    if counted:
        inner = f"{counted} {inner}"
    if phrase.determiner in ("a", "an"):
        inner = inner if number else with_article(inner)
    elif phrase.determiner:
        inner = f"{phrase.determiner} {inner}"
    upper = caption.text[phrase.start].isupper() and not caption.title_case
    return Splice(phrase.start, phrase.end, capitalised(inner) if upper else inner)


def inserted(modifiers: Sequence[Modifier], text: str, rank: int) -> list[str]:
    """The modifiers with one more at the place where its class stands."""
    at = next((i for i, m in enumerate(modifiers) if m.rank > rank), len(modifiers))
    texts = [m.text for m in modifiers]
    return [*texts[:at], text, *texts[at:]]


def replaced(modifiers: Sequence[Modifier], old: Modifier, text: str) -> list[str]:
    """The modifiers with one of them exchanged, its comma kept."""
    comma = "," if old.text.endswith(",") else ""
    return [text + comma if m is old else m.text for m in modifiers]
