"""Changes what a thing is like: colour, material, pattern, age, size, and the parts of clothes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit
from motacli.triplets.editing.morphology import with_article
from motacli.triplets.editing.phrases import NounPhrase
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.things import be, called, inserted, is_many, replaced, rewritten, things
from motacli.triplets.editing.vocabulary import RANKS, Vocabulary

KIND = "attribute"
COLOURLESS = ("black and white", "black-and-white", "sepia", "monochrome", "silhouette", "silhouettes")
AS_NOUN = frozenset(("age", "material", "pattern"))
"""Classes for which another thing is asked for, since one does not change there: ``an antique one``."""


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Changes of what the caption's things are like."""
    found: list[Edit] = []
    for thing in things(caption):
        allowed = words.allows(thing.noun)
        found += [*colours(caption, thing, words, rng), *_values(caption, thing, allowed, words, rng)]
        if allowed.get("sized"):
            found += _sizes(caption, thing, words, rng)
        found += _details(caption, thing, allowed, words, rng)
    return found


def colours(caption: Caption, thing: NounPhrase, words: Vocabulary, rng: Random) -> Iterator[Edit]:
    """The thing in another colour, or in one where none was said."""
    palette = words.choices["palettes"].get(words.allows(thing.noun).get("colours", "none"), [])
    old = thing.adjective("colour")
    if not palette or caption.says(COLOURLESS):
        return
    if old is None and not _may_gain_colour(caption, thing, words):
        return
    if old is not None and (" and " in old.text or "," in old.text or old.text.startswith("multi")):
        return
    free = [c for c in palette if not caption.says((c,)) and (old is None or not _alike(c, old.text.lower()))]
    if not free:
        return
    value = rng.choice(free)
    if old is None:
        yield _changed(caption, thing, "colour", None, value, inserted(thing.modifiers, value, RANKS.index("colour")))
        return
    wording = rng.choice(("colour", "colour_from", "colour_from"))
    yield _changed(caption, thing, wording, old.text.lower(), value, replaced(thing.modifiers, old, value))


def _alike(colour: str, other: str) -> bool:
    return bool(
        set(colour.replace("gray", "grey").split("-")) & set(other.replace("gray", "grey").replace("-", " ").split())
    ) or (colour in other or other in colour)


def _may_gain_colour(caption: Caption, thing: NounPhrase, words: Vocabulary) -> bool:
    if caption.says(words.lists["coloured"]) or thing.adjective("origin") or thing.adjective("part"):
        return False
    inside = range(thing.first, thing.last + 1)
    phrases = {at for phrase in caption.phrases for at in range(phrase.first, phrase.last + 1)}
    loose = [t for at, t in enumerate(caption.tokens) if t.kind == "colour" and at not in phrases]
    parts = [p for p in caption.phrases if p.kind == "part" and p.adjective("colour") and p.first > thing.last]
    stuff = [at for at in inside if at != thing.last and caption.tokens[at].tag in ("noun", "name", "poss")]
    return not loose and not stuff and not parts and caption.low(thing.last + 1) not in ("of", "made of", "in")


def _values(
    caption: Caption, thing: NounPhrase, allowed: dict[str, Any] | Any, words: Vocabulary, rng: Random
) -> Iterator[Edit]:
    for kind, name in allowed.get("values", {}).items():
        old = thing.adjective(kind)
        if old is None and (any(m.kind in (kind, "noun", "name", "unk", "part") for m in thing.modifiers)):
            continue
        if kind == "age" and old is None and thing.adjective("state"):
            continue
        if kind == "pattern" and old is None and thing.adjective("colour"):
            continue
        if old is not None and ("," in old.text or " " in old.text):
            continue
        values = [
            v
            for v in words.choices["values"][name]
            if not caption.says((v,)) and not (old and _same(v, old.text, words))
        ]
        if not values:
            continue
        value = rng.choice(values)
        texts = (
            inserted(thing.modifiers, value, RANKS.index(kind))
            if old is None
            else replaced(thing.modifiers, old, value)
        )
        wording = "kind_of" if kind in AS_NOUN else "adjective"
        if old is not None and rng.random() < 0.5:
            wording = "adjective_from"
        yield _changed(caption, thing, wording, old.text.lower() if old else None, value, texts)


def _same(value: str, old: str, words: Vocabulary) -> bool:
    return any({value, old.lower()} <= set(alike) for alike in words.choices["alike"].values())


def _sizes(caption: Caption, thing: NounPhrase, words: Vocabulary, rng: Random) -> Iterator[Edit]:
    sizes = words.choices["sizes"]
    old = thing.adjective("size")
    if thing.adjective("length") or thing.adjective("age") or not (thing.determiner or thing.number or thing.plural):
        return
    word = old.text.lower() if old else ""
    if old is not None and word not in (*sizes["big"], *sizes["little"]):
        return
    grow = word in sizes["little"] or (not word and rng.random() < 0.5)
    value = rng.choice([v for v in sizes["up" if grow else "down"] if v != word])
    texts = (
        inserted(thing.modifiers, value, RANKS.index("size")) if old is None else replaced(thing.modifiers, old, value)
    )
    yield _changed(caption, thing, "larger" if grow else "smaller", None, value, texts)


def _changed(caption: Caption, thing: NounPhrase, wording: str, old: str | None, value: str, texts: list[str]) -> Edit:
    noun, many = called(thing), is_many(thing)
    article = (lambda text: text) if many or (thing.noun and thing.noun.mass) else with_article
    words = {
        **be(thing), "noun": noun, "value": value, "noun_one": noun, "a_value_noun": article(f"{value} {noun}"),
        "a_value_one": f"{value} ones" if many else with_article(f"{value} one"), 
        "is_short": "they are" if many else "it is",
    }  # fmt: skip
    if many:
        words["noun_one"] = ""
    if old:
        words |= {"old": old, "a_old_noun": article(f"{old} {noun}")}
    return Edit(KIND, wording, words, (rewritten(caption, thing, texts),), touches=frozenset((f"thing {thing.first}",)))


def _details(
    caption: Caption, thing: NounPhrase, allowed: dict[str, Any] | Any, words: Vocabulary, rng: Random
) -> Iterator[Edit]:
    marks = words.scenes["details"]["marks"]
    if caption.low(thing.last + 1) in ("with", "that", "which", "without", "and"):
        return
    for part in allowed.get("details", ()):
        if caption.says(marks[part]):
            continue
        value, change = rng.choice(words.scenes["details"][part])
        called_so = {**be(thing), "noun": called(thing), "value": value, "change": change}
        touches = frozenset((f"thing {thing.first}",))
        if value == "no sleeves":
            splice = rewritten(caption, thing, ["sleeveless", *(m.text for m in thing.modifiers)])
            if is_many(thing):
                continue
            yield Edit(KIND, "detail_none", called_so, (splice,), touches=touches)
            continue
        wording = "detail_many" if is_many(thing) else "detail"
        yield Edit(KIND, wording, called_so, (Splice(thing.end, thing.end, f" with {value}"),), touches=touches)
