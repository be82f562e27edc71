"""Puts something into the picture that the caption does not mention."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit, Tail
from motacli.triplets.editing.operations.background import is_indoors, is_outdoors
from motacli.triplets.editing.phrases import NounPhrase
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.things import be, called, is_many, things
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "addition"
WEARERS = frozenset(("person", "character"))
FROM_AFAR = ("aerial", "above", "overhead", "close-up", "satellite")


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Things that could well be there too."""
    main = caption.main
    if main is None:
        return []
    found: list[Edit] = []
    for group in words.allows(main.noun).get("additions", ()):
        choices = [c for c in words.scenes["additions"][group] if not _is_there(caption, c[0], words)]
        choices = [c for c in choices if _fits(caption, group, c[1], words)]
        if not choices:
            continue
        thing, where = rng.choice(choices)
        found += _worn(caption, main, thing, words) if where == "on" else [_beside(thing, where)]
    return found


def _fits(caption: Caption, group: str, where: str, words: Vocabulary) -> bool:
    if group == "bird_side" and (is_indoors(caption, words) or not is_outdoors(caption, words)):
        return False
    if group == "table_side" and is_outdoors(caption, words):
        return False
    if group in ("wild_side", "leafy_side") and is_indoors(caption, words):
        return False
    if where == "in the sky" and caption.says(("sky", "air")):
        return False
    if where == "in the background" and caption.says(("background", "behind")):
        return False
    return where != "in the foreground" or not (caption.frame.view or caption.says(FROM_AFAR))


def _is_there(caption: Caption, thing: str, words: Vocabulary) -> bool:
    parts = thing.split()
    last = parts[-1]
    if caption.says((last, last.rstrip("s"), last + "s", *(p for p in parts if p in words.nouns))):
        return True
    return last == "people" and any(p.kind in ("person", "people") for p in caption.phrases)


def _beside(thing: str, where: str) -> Edit:
    many = (
        thing.endswith("s")
        and not thing.startswith(("a pair", "a stack", "a glass", "a small bowl"))
        and not thing.endswith("glass")
    )
    many = many or thing.startswith("a few")
    many = many and not thing.startswith(("a flock", "a pair", "a stack"))
    verb = "are" if many else "is"
    texts = {"thing": thing, "where": where, "is": verb}
    tail = Tail(f"with {thing} {where}", f"there {verb} {thing} {where}.", 1)
    touches = {"thing added"} | ({"backdrop"} if "background" in where else set())
    return Edit(KIND, "addition", texts, tails=(tail,), touches=frozenset(touches))


def _worn(caption: Caption, main: NounPhrase, thing: str, words: Vocabulary) -> Iterator[Edit]:
    follows = caption.low(main.last + 1)
    if (
        main not in things(caption)
        or follows in words.lists["dressed"]
        or (is_many(main) and not (main.noun and main.noun.only_plural))
    ):
        return
    wears = main.kind in WEARERS
    if wears and any(p.kind in ("accessory", "top", "dress") for p in caption.phrases):
        return
    link = "wearing" if wears and "backpack" not in thing else "with"
    texts = {**be(main), "thing": thing, "noun": called(main)}
    wording = "addition_on_many" if is_many(main) else "addition_on"
    splice = Splice(main.end, main.end, f" {link} {thing}")
    yield Edit(KIND, wording, texts, (splice,), touches=frozenset((f"thing {main.first}", "thing added")))
