"""Changes how things stand to each other, or where a thing is in the picture."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit, Tail
from motacli.triplets.editing.phrases import NounPhrase
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.things import be, called, is_many, things
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "spatial"
BESIDE = ("next to", "behind", "in front of", "to the left of", "to the right of")
SAME = {
    "beside": "next to",
    "near": "next to",
    "by": "next to",
    "close to": "next to",
    "alongside": "next to",
    "on the left of": "to the left of",
    "on the right of": "to the right of",
}
UPON = ("on", "on top of", "under", "underneath", "beneath", "above", "below")
MOVABLE = frozenset(("pet", "toy", "carried", "shape", "small_animal", "object", "container", "fruit"))
STILL = frozenset(("landscape", "room", "sky", "building", "structure", "people", "graphic", "text", "tree"))
SIDES = {"left": "left", "right": "right", "centre": "centre", "top": "top", "bottom": "bottom"}
FRAMED_TOKENS = 12


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Other relations between two things; another place in the picture where there is none."""
    return [*_relations(caption, words, rng)] or _framing(caption, words, rng)


def _relations(caption: Caption, words: Vocabulary, rng: Random) -> Iterator[Edit]:
    for other in things(caption):
        at = other.first - 1
        relation = caption.low(at)
        if relation not in (*BESIDE, *SAME, *UPON) or other.kind in ("room", "sky", "landscape"):
            continue
        thing = _before(caption, at, words)
        if thing is None:
            continue
        choices = _choices(thing, other, relation, caption)
        if not choices:
            continue
        new = rng.choice(choices)
        token = caption.tokens[at]
        texts = {**be(thing), "noun": called(thing), "other": called(other), "relation": new, "old_relation": relation}
        wording = "relation_many" if is_many(thing) or is_many(other) else "relation"
        touches = frozenset((f"thing {thing.first}", f"thing {other.first}", "place"))
        yield Edit(KIND, wording, texts, (Splice(token.start, token.end, new),), touches=touches)


def _before(caption: Caption, at: int, words: Vocabulary) -> NounPhrase | None:
    """The thing that a relation is said of."""
    known = {thing.last: thing for thing in things(caption)}
    back = at - 1
    while back >= 0 and caption.low(back) in words.lists["postures"]:
        back -= 1
    thing = known.get(back)
    if thing is None or (
        thing.first > 0 and caption.low(thing.first - 1) in ("and", "or", "of", "wearing", "in", "riding")
    ):
        return None
    return thing


def _choices(thing: NounPhrase, other: NounPhrase, relation: str, caption: Caption) -> list[str]:
    usual = SAME.get(relation, relation)
    if usual in BESIDE:
        return [r for r in BESIDE if r != usual] if thing.kind not in ("landscape", "room", "sky", "part") else []
    if thing.kind not in MOVABLE:
        return []
    if (
        other.kind == "furniture"
        and other.noun
        and other.noun.group in ("seat", "seat_wide", "table", "bed")
        and thing.kind in ("pet", "toy", "carried", "small_animal")
    ):
        return ["next to", "under"] if relation in ("on", "on top of") else ["next to", "on top of"]
    if other.kind in ("shape", "container") and thing.kind == other.kind:
        return ["next to", "behind", "in front of"] + (["under"] if relation in ("on", "on top of", "above") else [])
    if other.kind == "container" and other.noun and other.noun.group == "box" and thing.kind in ("pet", "toy", "fruit"):
        return ["next to", "in front of"]
    return []


def _framing(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    main = caption.main
    known = [thing for thing in things(caption) if thing is main]
    if not known or main is None or main.kind in STILL or len(caption.tokens) > FRAMED_TOKENS:
        return []
    if caption.says(words.lists["placed"]) or caption.sentences > 1 or len(caption.finite) > 1:
        return []
    side = rng.choice(list(SIDES))
    place = words.scenes["framing"][side]
    texts = {**be(main), "noun": called(main), "side": SIDES[side], "place": place}
    tail = Tail(place, f"the {called(main)} {be(main)['is']} {place}.", 0)
    return [Edit(KIND, "framing", texts, tails=(tail,), touches=frozenset(("place",)))]
