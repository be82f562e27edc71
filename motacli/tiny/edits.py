"""Edits of tiny-world scenes and the words for them.

An `Edit` changes some attributes of a scene. Each split has phrases of its own: ``pretrain`` is what the tiny CLIP
reads in its captions, ``val`` and ``test`` belong to the mini benchmarks. Training triplets are written elsewhere, from
captions alone and with a fourth set of phrases (`motacli.triplets.rules`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.random import Generator

from motacli.tiny import grammar
from motacli.tiny.world import (
    BACKGROUNDS,
    CARDINALITY,
    COUNTS,
    PATTERNS,
    POSITIONS,
    SIZES,
    STYLES,
    TEXTURES,
    Attr,
    Scenes,
    first_where,
    valid,
)

TYPES: dict[str, tuple[Attr, ...]] = {
    "colour": (Attr.COLOUR,),
    "shape": (Attr.SHAPE,),
    "texture": (Attr.TEXTURE,),
    "size": (Attr.SIZE,),
    "position": (Attr.POSITION,),
    "background": (Attr.BACKGROUND,),
    "pattern": (Attr.PATTERN,),
    "style": (Attr.STYLE,),
    "addition": (Attr.SHAPE2, Attr.COLOUR2),
    "removal": (Attr.SHAPE2, Attr.COLOUR2),
    "count": (Attr.COUNT,),
    "second": (Attr.SHAPE2, Attr.COLOUR2),
    "negation": (Attr.COLOUR,),
}
"""Modification types and what each changes; ``conjunction`` is two of them at once."""

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "pretrain": {
        "colour": (
            "is now {colour}", "turned {colour}", "but in {colour}", "becomes {colour} instead of {old_colour}",
            "has the colour {colour} now", "with the same look but {colour}", "and make that {colour}",
            "someone wants to come in {colour}",
        ),
        "shape": (
            "is now {a_shape}", "turned into {a_shape}", "but as {a_shape}", "changed from {an_old_shape} to {a_shape}",
            "took the shape of {a_shape} in this place", "one would swap and replace by {a_shape}",
        ),
        "texture": (
            "is now {texture}", "but {with_texture}", "was made to look {texture}", "appears {texture} in this version",
            "one would like to make {texture}",
        ),
        "size": (
            "is now {size}", "but {comparative}", "was made {comparative}", "of a {size} size", "looks {comparative}",
        ),
        "position": (
            "is now {position}", "but {position}", "was put {position}", "and move it so that it sits {position}",
            "should be seen {position} instead", "has its place {position}", "moved and placed to sit {position}",
        ),
        "background": (
            "is now on a {background} background", "but on {background}", "now has {background} behind it",
            "got a {background} backdrop", "and change the backdrop to {background}",
        ),
        "pattern": (
            "now has a {pattern} background", "but on a {pattern} background", "and make the backdrop {pattern}",
        ),
        "style": (
            "is now {style}", "but as {style}", "was turned into {style}", "is shown in the form of {style} now",
            "one would turn into {style}",
        ),
        "addition": (
            "is now with {second} next to it", "but with {second} added", "and also {second}",
            "and there is {second} as well", "comes together with {second} now", "and add {second} too",
            "got {second} put beside it",
        ),
        "removal": (
            "is now without the {old_second}", "but no {old_second}", "lost the {old_second} and is alone",
            "and remove the {old_second}", "and take away the {old_second}", "has the {old_second} gone",
        ),
        "count": (
            "is now {count} of them", "but {count} {shapes}", "shows {count} of these in all",
            "and there are {count} now", "has the number {count}",
        ),
        "second": (
            "now has {second} instead of the {old_second}", "but {second} and not the {old_second}",
            "had the {old_second} swapped and has {second} now", "got the {old_second} replaced by {second}",
            "would have {second} for the {old_second}",
        ),
        "negation": (
            "is not {old_colour} any more but {colour}", "isn't {old_colour} now, it should be {colour}",
            "was {old_colour} and no longer is but {colour}", "is {colour} with no {old_colour}",
        ),
    },
    "val": {
        "colour": ("is made {colour}", "comes in {colour} instead", "the colour should be {colour}"),
        "shape": ("becomes {a_shape}", "the shape should be {a_shape}", "was swapped for {a_shape}"),
        "texture": ("in a {texture} version", "is made {texture}", "the {old_shape} comes {with_texture}"),
        "size": ("has a {size} size", "is seen {comparative}"),
        "position": ("is shown {position}", "now sits {position}"),
        "background": ("the background is {background}", "with a {background} backdrop instead"),
        "pattern": ("is against a {pattern} background", "got a {pattern} backdrop"),
        "style": ("in the form of {style}", "make this {style}"),
        "addition": ("and there is {second} too", "got {second} as well"),
        "removal": ("is alone, without the {old_second}", "the {old_second} is gone"),
        "count": ("has {count} {shapes} in all", "make that {count} {shapes}"),
        "second": ("the {old_second} becomes {second}", "got {second}, not the {old_second}"),
        "negation": ("is {colour}, not {old_colour}", "was {old_colour} and is made {colour}"),
    },
    "test": {
        "colour": (
            "is {colour}", "should be {colour} now", "change it to a {colour} one",
            "the {old_shape} should be {colour}",
        ),
        "shape": ("is {a_shape}", "swap the {old_shape} for {a_shape}", "has {a_shape} in its place"),
        "texture": (
            "is {texture}", "comes {with_texture}", "should look {texture}", "{with_texture} on the {old_shape}",
        ),
        "size": ("should be {size}", "is {comparative} now", "the {old_shape} looks {comparative}"),
        "position": ("is {position}", "should sit {position}", "has moved and is {position}"),
        "background": ("is on a {background} background instead", "make the background {background}"),
        "pattern": ("the background is {pattern}", "should have a {pattern} background"),
        "style": ("appears as {style}", "should be {style} instead", "turn this into {style}"),
        "addition": ("is together with {second}", "put {second} next to it", "also has {second}"),
        "removal": ("take the {old_second} away", "no longer has the {old_second}"),
        "count": ("shows {count} {shapes}", "should be {count} of them"),
        "second": ("has {second} in place of the {old_second}", "swap the {old_second} for {second}"),
        "negation": ("is no longer {old_colour}, it is {colour}", "isn't {old_colour} any more but {colour}"),
    },
}  # fmt: skip

WITH_FACTS: dict[str, tuple[str, ...]] = {
    "val": ("{edit} and it is {facts}", "{edit}, seen {facts}"),
    "test": ("{edit} and is {facts}", "{edit}, {facts}"),
}
"""Wordier relative captions that also say what the target's context is."""

WITH_SUBJECT: dict[str, tuple[str, ...]] = {
    "val": ("the {subject} {edit}", "this {subject} {edit}"),
    "test": ("same {subject}, {edit}", "a {subject} that {edit}"),
}
"""Wordier relative captions that also say what stays."""

FACTS = (Attr.BACKGROUND, Attr.STYLE, Attr.POSITION)
"""What of the target's context a relative caption may mention."""


@dataclass(frozen=True)
class Edit:
    """One or two modifications: ``kinds`` names them, ``source`` and ``target`` are scenes ``(len(Attr),)``."""

    kinds: tuple[str, ...]
    source: Scenes
    target: Scenes

    @property
    def name(self) -> str:
        """The modification type, ``conjunction`` for two."""
        return self.kinds[0] if len(self.kinds) == 1 else "conjunction"

    @property
    def attrs(self) -> tuple[Attr, ...]:
        """Every attribute the text speaks of."""
        return tuple(dict.fromkeys(attr for kind in self.kinds for attr in TYPES[kind]))


def _applies(kind: str, scene: Scenes) -> bool:
    has_second = bool(scene[Attr.SHAPE2] > 0)
    if kind in ("removal", "second"):
        return has_second
    if kind in ("addition", "count"):
        return not has_second and (kind == "count" or bool(scene[Attr.COUNT] == 0))
    return kind != "position" or bool(scene[Attr.COUNT] == 0)


def _change(kind: str, scenes: Scenes, rng: Generator) -> None:
    if kind == "removal":
        scenes[:, [Attr.SHAPE2, Attr.COLOUR2]] = 0
        return
    for attr in TYPES[kind]:
        lowest = 1 if attr is Attr.SHAPE2 else 0
        scenes[:, attr] = rng.integers(lowest, CARDINALITY[attr], len(scenes))
    if kind == "count":
        scenes[:, Attr.POSITION] = POSITIONS.index("centre")


def apply(kinds: tuple[str, ...], scene: Scenes, rng: Generator, split: str, tries: int = 96) -> Edit | None:
    """A random edit of these kinds that leads from ``scene`` to another valid scene, or None where there is none."""
    targets = np.repeat(scene[None], tries, axis=0)
    for kind in kinds:
        if not _applies(kind, targets[0]):
            return None
        _change(kind, targets, rng)
    ok = valid(targets, split)
    for kind in kinds:
        ok &= (targets[:, list(TYPES[kind])] != scene[list(TYPES[kind])]).any(axis=1)
    target = first_where(targets, ok)
    return None if target is None else Edit(kinds, scene, target)


def again(edit: Edit, scene: Scenes, split: str) -> Edit | None:
    """The same edit, with the same outcome, of another scene; None where it does not apply or would change nothing."""
    target = scene.copy()
    for kind in edit.kinds:
        if not _applies(kind, target):
            return None
        target[list(TYPES[kind])] = edit.target[list(TYPES[kind])]
        if kind == "count":
            target[Attr.POSITION] = POSITIONS.index("centre")
        if (target[list(TYPES[kind])] == scene[list(TYPES[kind])]).all():
            return None
    return Edit(edit.kinds, scene, target) if valid(target[None], split)[0] else None


def _words(edit: Edit, rng: Random) -> Mapping[str, str]:
    source, target = edit.source, edit.target
    several = bool(target[Attr.COUNT] > 0)
    shapes = grammar.noun(int(target[Attr.SHAPE]), rng, plural=True)
    texture = TEXTURES[target[Attr.TEXTURE]]
    size, bigger = SIZES[target[Attr.SIZE]], target[Attr.SIZE] > source[Attr.SIZE]
    words = {
        "colour": grammar.colour_word(int(target[Attr.COLOUR]), rng),
        "old_colour": grammar.colour_word(int(source[Attr.COLOUR]), rng),
        "a_shape": shapes if several else grammar.article(grammar.noun(int(target[Attr.SHAPE]), rng)),
        "an_old_shape": grammar.article(grammar.noun(int(source[Attr.SHAPE]), rng)),
        "old_shape": grammar.noun(int(source[Attr.SHAPE]), rng, plural=bool(source[Attr.COUNT] > 0)),
        "shapes": shapes if several else grammar.noun(int(target[Attr.SHAPE]), rng),
        "texture": rng.choice(grammar.TEXTURE_ADJECTIVES[texture]),
        "with_texture": rng.choice(grammar.TEXTURE_PHRASES[texture]),
        "size": rng.choice(grammar.SIZE_WORDS[size]),
        "comparative": rng.choice(("bigger", "larger") if bigger else ("smaller", "tinier")),
        "position": rng.choice(grammar.POSITION_PHRASES[POSITIONS[target[Attr.POSITION]]]),
        "background": BACKGROUNDS[target[Attr.BACKGROUND]],
        "pattern": rng.choice(grammar.PATTERN_WORDS[PATTERNS[target[Attr.PATTERN]]]),
        "style": rng.choice(grammar.STYLE_NOUNS[STYLES[target[Attr.STYLE]]]),
        "count": COUNTS[target[Attr.COUNT]],
    }
    if target[Attr.SHAPE2] > 0:
        words["second"] = grammar.second_phrase(int(target[Attr.SHAPE2]), int(target[Attr.COLOUR2]), rng)
    if source[Attr.SHAPE2] > 0:
        words["old_second"] = grammar.noun(int(source[Attr.SHAPE2]) - 1, rng)
    return words


def phrase(edit: Edit, rng: Random, bank: str) -> str:
    """The bare relative caption of an edit in the words of a bank."""
    return " and ".join(rng.choice(PHRASES[bank][kind]).format(**_words(edit, rng)) for kind in edit.kinds)


def with_facts(text: str, said: Sequence[Attr], scene: Scenes, rng: Random, bank: str) -> str:
    """A relative caption that also states some of the target's context: ``said`` is a part of `FACTS`."""
    if not said:
        return text
    words = {
        Attr.BACKGROUND: lambda: grammar.background_phrase(int(scene[Attr.BACKGROUND]), None, rng),
        Attr.STYLE: lambda: "shown as " + rng.choice(grammar.STYLE_NOUNS[STYLES[scene[Attr.STYLE]]]),
        Attr.POSITION: lambda: rng.choice(grammar.POSITION_PHRASES[POSITIONS[scene[Attr.POSITION]]]),
    }
    facts = ", ".join(words[attr]() for attr in said)
    return rng.choice(WITH_FACTS[bank]).format(edit=text, facts=facts)


def with_subject(text: str, edit: Edit, rng: Random, bank: str) -> str:
    """A relative caption that also names the subject, where the edit leaves its shape alone."""
    if Attr.SHAPE in edit.attrs or Attr.COUNT in edit.attrs:
        return text
    words = [grammar.noun(int(edit.target[Attr.SHAPE]), rng, plural=bool(edit.target[Attr.COUNT] > 0))]
    if Attr.TEXTURE not in edit.attrs and rng.random() < 0.35:
        words.insert(0, rng.choice(grammar.TEXTURE_ADJECTIVES[TEXTURES[edit.target[Attr.TEXTURE]]]))
    if Attr.COLOUR not in edit.attrs and rng.random() < 0.35:
        words.insert(0, grammar.colour_word(int(edit.target[Attr.COLOUR]), rng))
    return rng.choice(WITH_SUBJECT[bank]).format(edit=text, subject=" ".join(words))


def edited_caption(scene: Scenes, rng: Random, numbers: Generator, split: str) -> grammar.Caption | None:
    """A pre-training caption of ``scene`` that starts from another picture: "a red star that is now green".

    The facts of the description hold except where the edit overrides them. None where no edit leads to the scene.
    """
    kind = rng.choice(list(TYPES))
    backwards = {"removal": "addition", "addition": "removal"}.get(kind, kind)
    undone = apply((backwards,), scene, numbers, split)
    if undone is None:
        return None
    edit = Edit((kind,), undone.target, scene)
    base = grammar.describe(edit.source, rng)
    facts = base.facts.copy()
    facts[list(edit.attrs)] = scene[list(edit.attrs)]
    if kind == "count":
        facts[Attr.POSITION] = -1
    change = phrase(edit, rng, "pretrain")
    joint = "" if change.startswith(("but", "and")) else rng.choice((" that", " that", " which", ","))
    text = f"{base.text}{joint} {change}"
    return grammar.Caption(text, np.where(facts >= 0, scene, facts).astype(np.int8))
