"""Changes how many there are of what the caption is of."""

from __future__ import annotations

from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit
from motacli.triplets.editing.phrases import NounPhrase
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.things import HOLDING, called, rewritten, things
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "count"
NUMBERS = ("two", "three", "four", "five", "six")
COUNTED = frozenset(
    (
        *NUMBERS,
        "seven",
        "eight",
        "nine",
        "ten",
        "several",
        "many",
        "twelve",
        "2",
        "3",
        "4",
        "5",
        "6",
        "eleven",
        "few",
        "multiple",
    )
)
WORN = frozenset(("top", "dress", "skirt", "bottoms", "footwear", "accessory", "textile", "part"))
WAS = {"is": "are", "was": "were", "has": "have"}


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Other numbers of the caption's first thing."""
    thing = next(iter(things(caption)), None)
    if thing is None or thing is not (caption.main or thing) or caption.says(words.lists["one_by_one"]):
        return []
    if (
        thing.noun is None
        or not thing.noun.countable
        or not words.allows(thing.noun).get("counted")
        or caption.sentences > 1
    ):
        return []
    if thing.number and thing.plural and thing.number in COUNTED and not thing.determiner:
        number = rng.choice([n for n in NUMBERS if n != thing.number])
        return [_counted(caption, thing, number, thing.number, called(thing), ())]
    if thing.plural or thing.number or thing.determiner not in ("a", "an") or caption.subject is not thing:
        return []
    agreeing = _agreeing(caption, thing, words)
    if agreeing is None:
        return []
    plural = thing.noun.plural
    old = "one" if rng.random() < 0.6 else "just one"
    return [_counted(caption, thing, rng.choice(NUMBERS[:4]), old, plural, agreeing)]


def _counted(
    caption: Caption, thing: NounPhrase, number: str, old: str, nouns: str, splices: tuple[Splice, ...]
) -> Edit:
    splice = rewritten(caption, thing, noun=nouns if not thing.plural else None, number=number)
    texts = {"number": number, "old_number": old, "nouns": nouns}
    return Edit(KIND, "count", texts, (splice, *splices), touches=frozenset((f"thing {thing.first}", "number")))


def _agreeing(caption: Caption, thing: NounPhrase, words: Vocabulary) -> tuple[Splice, ...] | None:
    """What else has to change for several, or None where that cannot be told."""
    at = thing.last + 1
    token = caption.tokens[at] if at < len(caption.tokens) else None
    if any(m.kind in ("num", "name", "poss") for m in thing.modifiers) or len(caption.finite) > 1:
        return None
    if token is None or token.low == ".":
        return ()
    shared = words.lists["shared"] | words.lists["shared_prepositions"]
    if caption.finite and caption.finite[0] == at:
        verb = words.verbs.get(token.low)
        if token.low in WAS and caption.low(at + 1) in shared:
            return (Splice(token.start, token.end, WAS[token.low]),)
        if verb and verb.form == "third" and words.ing[verb.base] in words.lists["shared"]:
            return (Splice(token.start, token.end, verb.base),)
        return None
    if caption.finite:
        return None
    if token.low == "of":
        return () if thing.kind in HOLDING else None
    if any(p.first == at + 1 and p.kind in WORN for p in caption.phrases):
        return None
    return () if token.low in shared and not _eats_one(caption, at) else None


def _eats_one(caption: Caption, at: int) -> bool:
    """Whether one thing follows that several could not share: ``eating a banana``."""
    return caption.low(at) in ("eating", "drinking", "driving", "flying") and caption.low(at + 1) in ("a", "an")
