"""Takes something out of the picture, where the rest of the caption stands without it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit
from motacli.triplets.editing.phrases import NounPhrase
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.things import be, called, things
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "removal"
PART_OF = frozenset(("furniture", "structure", "building"))
"""Kinds of which ``with`` says what they are made of."""
BEARERS = frozenset(("noun", "unk", "name"))


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Each thing that can be left out."""
    return [_removed(caption, phrase, splice) for phrase, splice in removable(caption, words)]


def removable(caption: Caption, words: Vocabulary) -> Iterator[tuple[NounPhrase, Splice]]:
    """Things that the caption can do without, and the splice that takes them out."""
    for thing in things(caption):
        at = thing.first - 1
        link = caption.low(at)
        if at < 1 or link not in words.lists["links"] or caption.tag(at - 1) not in BEARERS or thing.noun is None:
            continue
        if caption.scene is not None and thing.first == caption.phrases[caption.scene.phrase].first:
            continue
        bearer = next((p for p in caption.phrases if p.last == at - 1), None)
        if link == "wearing" and thing.kind == "textile":
            continue
        if link == "and" and bearer is not None and caption.low(bearer.first - 1) == ",":
            continue
        if (
            bearer is None
            or bearer.kind in ("measure", "abstract")
            or bearer.number
            or bearer.proper
            or bearer.noun is None
        ):
            continue
        if link == "with" and (bearer.kind in PART_OF or thing.kind == "furniture" or thing.kind == "structure"):
            continue
        end = _end(caption, thing, link, words)
        if end is not None and not caption.says(words.lists["together"] if link == "and" else ()):
            yield thing, Splice(bearer.end, end, "")


def _end(caption: Caption, thing: NounPhrase, link: str, words: Vocabulary) -> int | None:
    """Where what belongs to the thing ends, or None where it goes on in a way that cannot be told."""
    rest = caption.tokens[thing.last + 1 :]
    follows = rest[0] if rest else None
    if follows is None or follows.low in (".", ","):
        if follows is not None and follows.low == "," and link != "and" and _is_list(caption, thing):
            return None
        if len(rest) > 1 and rest[1].tag in ("ing", "part"):
            return None
        later = rest[1:] if follows else []
        return None if any(t.low in words.lists["back"] for t in later) else thing.end
    tail = " ".join(t.low for t in rest).rstrip(" .")
    if link == "with" and tail in words.lists["on_it"]:
        return next(t.end for t in reversed(rest) if t.text[0].isalpha())
    if caption.scene and follows.start == caption.scene.start and link != "and":
        return thing.end
    if caption.light and caption.light.start <= follows.start < caption.light.end:
        return thing.end
    if (
        link == "and"
        and follows.tag == "prep"
        and follows.low in ("on", "in", "at", "near", "under", "next to", "against")
    ):
        return thing.end if not any(t.low in words.lists["back"] for t in rest) else None
    return None


def _is_list(caption: Caption, thing: NounPhrase) -> bool:
    """Whether a comma after a thing goes on with more things of a list."""
    following = [p for p in caption.phrases if p.first == thing.last + 2]
    return bool(following) or caption.low(thing.last + 2) == "and"


def _removed(caption: Caption, thing: NounPhrase, splice: Splice) -> Edit:
    forms = be(thing)
    noun = called(thing)
    texts = {**forms, "noun": noun, "the": "the"}
    return Edit(KIND, "removal", texts, (splice,), touches=frozenset((f"thing {thing.first}", "thing removed")))
