"""Changes light, weather and time of day; these count as background."""

from __future__ import annotations

from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit, Tail
from motacli.triplets.editing.operations.background import FLAT, is_indoors, is_outdoors
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "background"
TOUCHES = frozenset(("light",))


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Another light in place of the caption's own, or one where none is mentioned."""
    main = caption.main
    known = main is not None and main.kind not in FLAT
    light = words.scenes["light"]
    if caption.light is not None:
        others = [new for new in light["outdoors"] if new[0].split()[-1] not in caption.light.text.lower()]
        return [_exchanged(caption, caption.light.text, rng.choice(others), caption.light.start, caption.light.end)]
    if caption.says(words.lists["light"]) or not (
        known or (len(caption.phrases) > 1 and main is not None and main.noun is None)
    ):
        return []
    outdoors, indoors = is_outdoors(caption, words), is_indoors(caption, words)
    choices = light["outdoors" if outdoors and not indoors else "neutral"]
    phrase = rng.choice([new[0] for new in choices if not caption.says(new[0].split()[-2:])])
    tail = Tail(phrase, f"the scene is shown {phrase}.", 5)
    return [Edit(KIND, "light", {"phrase": phrase}, tails=(tail,), touches=TOUCHES, context=phrase)]


def _exchanged(caption: Caption, old: str, new: list[str], start: int, end: int) -> Edit:
    lead = ", " if old.startswith(",") else " "
    texts = {"phrase": new[0]}
    return Edit(KIND, "light", texts, (Splice(start, end, lead + new[0]),), touches=TOUCHES, context=new[0])
