"""Says what is not there or no longer so."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit, Tail
from motacli.triplets.editing.operations.attribute import colours
from motacli.triplets.editing.operations.removal import removable
from motacli.triplets.editing.things import be, called, things
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "negation"


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Things left out, colours denied, and things that must not be there."""
    found = [
        Edit(
            KIND,
            "without",
            {**be(thing), "noun": called(thing)},
            (splice,),
            touches=frozenset((f"thing {thing.first}",)),
        )
        for thing, splice in removable(caption, words)
    ]
    for thing in things(caption):
        if thing.adjective("colour"):
            found += [replace(edit, kind=KIND, wording="not_colour") for edit in colours(caption, thing, words, rng)]
    return found + (_absent(caption, words, rng) if not found or rng.random() < 0.3 else [])


def _absent(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    main = caption.main
    kinds = words.scenes["absent"]["kinds"]
    group = next((name for name, many in kinds.items() if main is not None and main.noun and main.kind in many), None)
    if group is None or main is None or (group == "others" and (main.plural or len(_people(caption)) > 1)):
        return []
    if group in ("people", "traffic") and _people(caption):
        return []
    thing, where = rng.choice(words.scenes["absent"][group])
    if caption.says(thing.split()) or (thing == "cars" and any(p.kind == "road_vehicle" for p in caption.phrases)):
        return []
    if group == "things" and (len(caption.phrases) > 1 or caption.says(("and", "with"))):
        return []
    texts = {"thing": thing, "where": where, "is": "are"}
    tail = Tail(f"with no {thing} {where}", f"there are no {thing} {where}.", 2)
    return [Edit(KIND, "not_there", texts, tails=(tail,), touches=frozenset(("thing added", "thing removed")))]


def _people(caption: Caption) -> list[str]:
    return [p.head for p in caption.phrases if p.kind in ("person", "people")]
