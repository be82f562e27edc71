"""Changes how the picture is made: photograph, painting, sketch."""

from __future__ import annotations

from random import Random

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.edit import Edit, Tail
from motacli.triplets.editing.vocabulary import Vocabulary

KIND = "style"
TOUCHES = frozenset(("style",))
COLOURLESS = TOUCHES | {"light"}
"""What a style without colours had better go without: it would be a blue sky."""
PLAIN = ("photo", "picture", "image", "photograph")
ART = (
    "painting",
    "drawing",
    "sketch",
    "illustration",
    "cartoon",
    "watercolor",
    "rendering",
    "render",
    "print",
    "engraving",
    "portrait",
    "collage",
    "art",
    "style",
    "photo",
    "photograph",
    "picture",
    "sculpture",
    "statue",
    "origami",
)


GREY = ("monochrome", "sepia")
DARK = (*GREY, "pencil", "charcoal", "ink", "woodcut")
"""Styles without colours, which pictures whose colours are spoken of had better not have."""


def edits(caption: Caption, words: Vocabulary, rng: Random, without: tuple[str, ...] = ()) -> list[Edit]:
    """The same as another kind of picture; not in the families of ``without``."""
    frame = caption.frame
    if frame.view or (not frame.head and not frame.tail and caption.says(ART)):
        return []
    old = frame.head.lower()
    choices = [style for style, name in _styles(words, old) if name not in (*without, *old.split()) and style != old]
    if any(token.kind == "colour" for token in caption.tokens):
        choices = [style for style in choices if "photo" not in style] or choices
    style = rng.choice(choices)
    wording = (
        "style_from"
        if old and len(old.split()) <= 4 and old.startswith(("a ", "an ")) and rng.random() < 0.4
        else "style"
    )
    texts = {"style": style, "old": old}
    touches = COLOURLESS if any(word in style for word in ("photo", *DARK)) else TOUCHES
    as_head = Edit(KIND, wording, texts, head=style, bare=frame.tail, touches=touches, context=f"as {style}")
    return [as_head, *_as_tail(style, caption)]


def _styles(words: Vocabulary, old: str) -> list[list[str]]:
    styles = words.scenes["styles"]
    art: list[list[str]] = styles["art"]
    photo: list[list[str]] = styles["photo"]
    drawn = bool(old) and not any(word in old.split() for word in PLAIN)
    return [*art, *photo] if drawn else [*art, *photo[1:]]


def _as_tail(style: str, caption: Caption) -> list[Edit]:
    """The style after the description, for those that cannot follow a head."""
    if caption.frame.head or caption.frame.tail:
        return []
    tail = Tail(f"rendered as {style}", f"the picture is {style}.", 7)
    photo = "photo" in style
    return (
        [] if photo else [Edit(KIND, "style", {"style": style}, tails=(tail,), touches=TOUCHES, context=f"as {style}")]
    )
