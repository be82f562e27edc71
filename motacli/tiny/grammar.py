"""How people describe tiny-world pictures: synonyms, paraphrases, and only a part of what is there.

`describe` returns the text together with the facts it states (an int8 row per `Attr`, -1 where nothing is said), which
training uses to recognise other pictures that the text fits just as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import numpy as np

from motacli.tiny.world import (
    BACKGROUNDS,
    COLOURS,
    COUNTS,
    PATTERNS,
    POSITIONS,
    SHAPES,
    SIZES,
    STYLES,
    TEXTURES,
    Attr,
    Scenes,
)

NOUNS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "disc"), "square": ("square", "box"), "triangle": ("triangle",), "star": ("star",),
    "heart": ("heart",), "cross": ("cross", "plus"), "ring": ("ring", "hoop"), "diamond": ("diamond", "rhombus"),
    "moon": ("moon", "crescent"), "arrow": ("arrow",), "flower": ("flower", "blossom"), "bowtie": ("bowtie", "bow"),
}  # fmt: skip
PLURALS = {"box": "boxes", "cross": "crosses", "plus": "pluses", "rhombus": "rhombuses"}
COLOUR_WORDS = {"purple": ("purple", "violet"), "teal": ("teal", "turquoise"), "grey": ("grey", "gray")}
TEXTURE_ADJECTIVES = {
    "plain": ("plain", "solid"), "striped": ("striped", "stripy"), "dotted": ("dotted", "polka-dot"),
    "checkered": ("checkered", "chequered"), "bordered": ("bordered", "framed"),
}  # fmt: skip
TEXTURE_PHRASES = {
    "plain": ("without a texture",), "striped": ("with stripes",), "dotted": ("with dots", "with polka dots"),
    "checkered": ("with checks",), "bordered": ("with a border", "with a frame"),
}  # fmt: skip
SIZE_WORDS = {
    "small": ("small", "tiny", "little"),
    "medium": ("medium", "medium-sized"),
    "large": ("large", "big", "huge"),
}
POSITION_PHRASES = {
    "left": ("on the left", "at the left side"), "right": ("on the right", "at the right side"),
    "top": ("at the top", "near the top"), "bottom": ("at the bottom", "near the bottom"),
    "centre": ("in the middle", "in the centre"),
}  # fmt: skip
COUNT_WORDS = {"one": ("one", "a single"), "two": ("two", "a pair of"), "three": ("three",)}
PATTERN_WORDS = {
    "even": ("even", "smooth"), "fading": ("fading", "gradient"), "lined": ("lined", "ruled"),
    "speckled": ("speckled", "blotchy"),
}  # fmt: skip
STYLE_NOUNS = {
    "clean": ("a clean picture", "a clear photo"), "cartoon": ("a cartoon", "a comic drawing"),
    "dark": ("a dark picture", "a dim photo"), "grainy": ("a grainy photo", "a noisy picture"),
}  # fmt: skip
NEUTRAL_HEADS = ("", "", "a photo of", "a photo of", "a picture of", "an image of", "there is")
BACKGROUND_PHRASES = (
    "on {} background", "against {} background", "with {} background", "in front of {} backdrop",
)  # fmt: skip
SECOND_PHRASES = ("and {}", "next to {}", "with {} beside it", "together with {}", "near {}")


@dataclass(frozen=True)
class Caption:
    """A text and the facts it states, int8 ``(len(Attr),)`` with -1 for what it leaves open."""

    text: str
    facts: Scenes


@dataclass(frozen=True)
class Habit:
    """How often a describer mentions each attribute."""

    probabilities: Mapping[Attr, float] = field(
        default_factory=lambda: {
            Attr.SHAPE: 0.94, Attr.COLOUR: 0.78, Attr.TEXTURE: 0.55, Attr.SIZE: 0.4, Attr.POSITION: 0.4,
            Attr.SHAPE2: 0.72, Attr.COLOUR2: 0.8, Attr.BACKGROUND: 0.5, Attr.PATTERN: 0.32, Attr.STYLE: 0.38,
        }
    )  # fmt: skip

    def draws(self, attr: Attr, rng: Random) -> bool:
        """Whether the describer mentions ``attr`` this time."""
        return rng.random() < self.probabilities.get(attr, 1.0)


CASUAL = Habit()
THOROUGH = Habit(
    {
        Attr.SHAPE: 1.0, Attr.COLOUR: 0.97, Attr.TEXTURE: 0.85, Attr.SIZE: 0.5, Attr.POSITION: 0.5,
        Attr.SHAPE2: 0.95, Attr.COLOUR2: 0.95, Attr.BACKGROUND: 0.65, Attr.PATTERN: 0.45, Attr.STYLE: 0.5,
    }
)  # fmt: skip
"""A careful captioner, as the paper's multimodal LLM is."""


def article(phrase: str) -> str:
    """``a`` or ``an`` before a phrase."""
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def colour_word(index: int, rng: Random) -> str:
    """A word for a colour index."""
    return rng.choice(COLOUR_WORDS.get(COLOURS[index], (COLOURS[index],)))


def noun(shape: int, rng: Random, plural: bool = False) -> str:
    """A word for a shape index."""
    word = rng.choice(NOUNS[SHAPES[shape]])
    return PLURALS.get(word, word + "s") if plural else word


def second_phrase(shape2: int, colour2: int | None, rng: Random) -> str:
    """The second object with its article: ``shape2`` counts from 1 as in a scene."""
    word = noun(shape2 - 1, rng)
    return article(word if colour2 is None else f"{colour_word(colour2, rng)} {word}")


def _subject(scene: Scenes, said: dict[Attr, bool], rng: Random) -> str:
    several = scene[Attr.COUNT] > 0
    words = []
    if said[Attr.SIZE]:
        words.append(rng.choice(SIZE_WORDS[SIZES[scene[Attr.SIZE]]]))
    tail = ""
    texture = TEXTURES[scene[Attr.TEXTURE]]
    adjective = ""
    if said[Attr.TEXTURE]:
        if rng.random() < 0.4:
            tail = " " + rng.choice(TEXTURE_PHRASES[texture])
        else:
            adjective = rng.choice(TEXTURE_ADJECTIVES[texture])
    middle = [adjective] if adjective else []
    if said[Attr.COLOUR]:
        middle.insert(rng.randrange(len(middle) + 1), colour_word(int(scene[Attr.COLOUR]), rng))
    words += middle
    generic = rng.choice(("object", "shape", "thing"))
    words.append(noun(int(scene[Attr.SHAPE]), rng, several) if said[Attr.SHAPE] else generic + ("s" if several else ""))
    phrase = " ".join(words)
    if several:
        return f"{rng.choice(COUNT_WORDS[COUNTS[scene[Attr.COUNT]]])} {phrase}{tail}"
    return f"one {phrase}{tail}" if rng.random() < 0.06 else article(phrase) + tail


def background_phrase(background: int | None, pattern: int | None, rng: Random) -> str:
    """``on a lined green background``, with either word left out where None."""
    words = []
    if pattern is not None:
        words.append(rng.choice(PATTERN_WORDS[PATTERNS[pattern]]))
    if background is not None:
        name = BACKGROUNDS[background]
        words.append(rng.choice(COLOUR_WORDS.get(name, (name,))))
    return rng.choice(BACKGROUND_PHRASES).format(article(" ".join(words)))


def describe(scene: Scenes, rng: Random, habit: Habit = CASUAL) -> Caption:
    """A caption of one scene ``(len(Attr),)`` as somebody with this habit would write it."""
    said = {attr: habit.draws(attr, rng) for attr in Attr}
    said[Attr.COUNT] = True
    said[Attr.SHAPE2] &= bool(scene[Attr.SHAPE2] > 0)
    said[Attr.COLOUR2] &= said[Attr.SHAPE2]
    if scene[Attr.COUNT] > 0:
        said[Attr.POSITION] = False
    head = rng.choice(STYLE_NOUNS[STYLES[scene[Attr.STYLE]]]) + " of" if said[Attr.STYLE] else rng.choice(NEUTRAL_HEADS)
    parts = [_subject(scene, said, rng)]
    if said[Attr.SHAPE2]:
        colour2 = int(scene[Attr.COLOUR2]) if said[Attr.COLOUR2] else None
        parts.append(rng.choice(SECOND_PHRASES).format(second_phrase(int(scene[Attr.SHAPE2]), colour2, rng)))
    if said[Attr.POSITION]:
        parts.insert(1, rng.choice(POSITION_PHRASES[POSITIONS[scene[Attr.POSITION]]]))
    if said[Attr.BACKGROUND] or said[Attr.PATTERN]:
        background = int(scene[Attr.BACKGROUND]) if said[Attr.BACKGROUND] else None
        parts.append(background_phrase(background, int(scene[Attr.PATTERN]) if said[Attr.PATTERN] else None, rng))
    facts = np.array([scene[attr] if said[attr] else -1 for attr in Attr], dtype=np.int8)
    return Caption(" ".join([head, *parts]).strip(), facts)
