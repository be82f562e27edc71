"""Edits of tiny-world scenes, and relative captions for them in the words of a bank (`motacli.tiny.phrases`).

An `Edit` changes some attributes of a scene. Training triplets are written elsewhere, from captions alone
(`motacli.triplets.rules`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.random import Generator

from motacli.tiny import grammar, phrases
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
    return " and ".join(rng.choice(phrases.PHRASES[bank][kind]).format(**_words(edit, rng)) for kind in edit.kinds)


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
    return rng.choice(phrases.WITH_FACTS[bank]).format(edit=text, facts=facts)


def with_subject(text: str, edit: Edit, rng: Random, bank: str) -> str:
    """A relative caption that also names the subject, where the edit leaves its shape alone."""
    if Attr.SHAPE in edit.attrs or Attr.COUNT in edit.attrs:
        return text
    words = [grammar.noun(int(edit.target[Attr.SHAPE]), rng, plural=bool(edit.target[Attr.COUNT] > 0))]
    if Attr.TEXTURE not in edit.attrs and rng.random() < 0.35:
        words.insert(0, rng.choice(grammar.TEXTURE_ADJECTIVES[TEXTURES[edit.target[Attr.TEXTURE]]]))
    if Attr.COLOUR not in edit.attrs and rng.random() < 0.35:
        words.insert(0, grammar.colour_word(int(edit.target[Attr.COLOUR]), rng))
    return rng.choice(phrases.WITH_SUBJECT[bank]).format(edit=text, subject=" ".join(words))


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
