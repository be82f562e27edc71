"""Changes where the picture is taken from."""

from __future__ import annotations

from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit, Tail
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "viewpoint"
TOUCHES = frozenset(("view",))


def edits(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    """Other viewpoints; none where the caption speaks of one in a way that cannot be exchanged."""
    if caption.frame.view and not caption.frame.tail:
        return _for_head(caption, words, rng)
    if caption.says(words.scenes["views"]["marks"]) or caption.main is None:
        return []
    groups = words.allows(caption.main.noun).get("views", ())
    choices = [c for group in groups for c in words.scenes["views"][group] if not (c[0] and caption.frame.head)]
    return [_seen(rng.choice(choices))] if choices else []


def _for_head(caption: Caption, words: Vocabulary, rng: Random) -> list[Edit]:
    main = caption.main
    groups = words.allows(main.noun if main else None).get("views", ())
    choices = [
        c
        for group in groups
        for c in words.scenes["views"][group]
        if c[0] and c[0].split()[-2:] != caption.frame.head.lower().split()[-2:]
    ]
    return [_seen(rng.choice(choices))] if choices else []


def _seen(choice: list[str]) -> Edit:
    head, tail, view = choice
    if head:
        return Edit(KIND, "view_as", {"view": view}, head=head, touches=TOUCHES | {"style"}, context=f"as {view}")
    after = Tail(tail, f"everything is {tail}.", 6)
    return Edit(KIND, "view", {"view": view}, tails=(after,), touches=TOUCHES, context=tail)
