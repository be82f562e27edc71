"""What becomes of all that the relative caption leaves open: kept, left out, or changed without a word."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.clashes import clash
from motacli.triplets.editing.edit import Edit
from motacli.triplets.editing.operations import background, light, style, viewpoint
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "context"
SECOND = 0.25
"""How often a second piece of context changes too."""
STYLE_WEIGHT = 0.3
LEAVES_ALONE = frozenset(("noun", "unk", "name", "pron", "adv", "ing"))


def changes(caption: Caption, touched: frozenset[str], words: Vocabulary, rng: Random) -> list[list[Edit]]:
    """Ways to change the context, the preferred one first."""
    found = [*background.edits(caption, words, rng), *light.edits(caption, words, rng)]
    rng.shuffle(found)
    others = [*style.edits(caption, words, rng, style.DARK), *viewpoint.edits(caption, words, rng)]
    rng.shuffle(others)
    found = [*others, *found] if rng.random() < STYLE_WEIGHT else [*found, *others]
    free = [edit for edit in found if not edit.touches & touched]
    pairs = [[free[0], edit] for edit in free[1:] if not clash(free[0], edit)] if rng.random() < SECOND else []
    return [*pairs[:1], *([edit] for edit in free)]


def omission(caption: Caption, touched: frozenset[str]) -> list[Edit]:
    """Whatever context the caption mentions and can do without, dropped."""
    found = []
    scene = caption.scene
    if scene is not None and not touched & {"scene", "backdrop"}:
        before = next(at for at, token in enumerate(caption.tokens) if token.start == scene.start) - 1
        if caption.tag(before) in LEAVES_ALONE:
            found.append(_dropped(caption.tokens[before].end, scene.end, "scene"))
    if caption.light is not None and "light" not in touched:
        found.append(_dropped(caption.light.start, caption.light.end, "light"))
    if (caption.frame.head or caption.frame.tail) and not touched & {"style", "view"}:
        found.append(Edit(KIND, bare=True, touches=frozenset(("style", "view"))))
    return found


def _dropped(start: int, end: int, what: str) -> Edit:
    return Edit(KIND, splices=(Splice(start, end, ""),), touches=frozenset((what,)))


def mention(edits: Sequence[Edit], rng: Random) -> str:
    """A piece of the changed context in words, empty where there is none."""
    said = [edit.context for edit in edits if edit.context]
    return rng.choice(said) if said else ""
