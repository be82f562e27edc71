"""Puts another thing of the same sort in the place of one."""

from __future__ import annotations

from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit
from motacli.triplets.editing.morphology import with_article
from motacli.triplets.editing.phrases import NounPhrase
from motacli.triplets.editing.things import be, called, is_many, rewritten, things, written
from motacli.triplets.editing.vocabulary import Noun, Vocabulary

KIND = "substitution"
ANIMALS = frozenset(("pet", "beast", "bird", "small_animal", "sea_animal", "insect"))
GENDERED = frozenset(("man", "child"))
KEPT = frozenset(("other", "opinion", "size", "length", "age", "pattern", "num", "ing", "part", "state"))


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Each thing that has siblings exchanged for one of them."""
    found = []
    for thing in things(caption):
        if thing.noun is None or not _fits(caption, thing, words):
            continue
        siblings = [s for s in thing.noun.siblings if not caption.says((s, words.nouns[s].plural))]
        if siblings:
            found.append(_exchanged(caption, thing, words.nouns[rng.choice(siblings)], words))
    return found


def _fits(caption: Caption, thing: NounPhrase, words: Vocabulary) -> bool:
    if thing.noun is None:
        return False
    if thing.noun.group in GENDERED and caption.says(words.lists["gender"]):
        return False
    if thing.noun.kind in ANIMALS and caption.says(words.lists["telling"]):
        return False
    if thing.noun.mass and thing.determiner in ("a", "an"):
        return False
    if caption.low(thing.first - 1) in ("made of", "made out of", "made from"):
        return False
    if thing.noun.kind == "pet" and caption.main is not thing and caption.says(("walking", "walks")):
        return False
    if thing.noun.kind == "landscape" and caption.low(thing.first - 1) == "in":
        return False
    return not any(m.kind in ("noun", "name") for m in thing.modifiers)


def _exchanged(caption: Caption, thing: NounPhrase, other: Noun, words: Vocabulary) -> Edit:
    assert thing.noun is not None
    allowed = words.allows(thing.noun)
    kept = KEPT | ({"colour"} if allowed.get("colours", "none") != "none" else set()) | set(allowed.get("values", ()))
    modifiers = [m.text for m in thing.modifiers if m.kind in kept]
    if modifiers:
        modifiers[-1] = modifiers[-1].rstrip(",")
    many = is_many(thing)
    single = not many and not other.mass
    new = written(other, thing.plural)
    old = called(thing)
    texts = {
        **be(thing), "old": old, "a_old": with_article(old) if single else old, 
        "new": with_article(new) if single else new,
        "is_new": be(thing)["is"],
    }  # fmt: skip
    alone = len(caption.phrases) == 1
    return Edit(
        KIND,
        "substitution_only" if alone and len(caption.tokens) % 2 else "substitution",
        texts,
        (rewritten(caption, thing, modifiers, new),),
        touches=frozenset((f"thing {thing.first}",)),
    )
