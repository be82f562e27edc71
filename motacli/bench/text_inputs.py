"""Made-up captions, and how many tokens they have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

import open_clip

MARKERS = 2
"""Tokens that every text has besides its own: one before, one behind."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NOUNS = _words("""
airplane apple backpack balcony banana barn basket bathroom beach bench bicycle bird boat bookshelf bottle bridge
building bus cake camera car carpet cat chair child church clock couch cow crowd cup desk dog door dress elephant
fence field fireplace flower forest fountain fridge garden giraffe girl guitar harbour hat helmet hillside horse house
jacket jar kitchen kite ladder lake lamp laptop library man market meadow mirror motorcycle mountain mug newspaper
nightstand oven park path piano picnic pillow pizza plate player playground pond porch rider river road rock sandwich
sheep shelf shirt skateboarder snowboarder sofa stairway statue street suitcase sunflower surfboard table tent toddler
tower train tree truck umbrella vase waiter wall windowsill woman zebra
""")
_ADJECTIVES = _words("""
big black blue bright brown busy checkered cloudy colourful crowded curly dark dusty empty faded fluffy golden grassy
green grey huge little narrow old orange pink purple red round rusty sandy shiny silver small snowy striped sunny tall
tiny weathered wet white wooden yellow young
""")
_ACTIONS = _words("""
balancing climbing floating hanging jumping leaning looking lying parked playing resting running sitting sleeping
smiling standing walking waiting
""")
_PLACES = (
    *_words("above against at behind below beside by in near on over under with"),
    *("across from", "in front of", "next to"),
)
_CHANGES = ("has", "shows", "is of", "is seen with", "now has", "instead shows")
_DETERMINERS = ("a", "a", "the", "the", "one", "his")


def make_captions(count: int, seed: int) -> tuple[str, ...]:
    """Captions such as "a small dog sleeping under the wooden table near a fireplace", without punctuation."""
    rng = Random(f"captions {seed}")
    return tuple(_caption(rng) for _ in range(count))


def make_changes(count: int, seed: int) -> tuple[str, ...]:
    """Relative captions such as "shows a small dog on the wooden table", eleven words on average as CIRR's are."""
    rng = Random(f"changes {seed}")
    return tuple(_change(rng) for _ in range(count))


def _caption(rng: Random) -> str:
    parts = [_thing(rng), rng.choice(_ACTIONS)]
    for _ in range(rng.choice((2, 3, 3))):
        parts += [rng.choice(_PLACES), _thing(rng)]
    return " ".join(parts)


def _change(rng: Random) -> str:
    parts = [rng.choice(_CHANGES), _thing(rng)]
    for _ in range(rng.choice((1, 1, 2))):
        parts += [rng.choice(_PLACES), _thing(rng)]
    return " ".join(parts)


def _thing(rng: Random) -> str:
    adjectives = rng.sample(_ADJECTIVES, rng.choice((0, 1, 1, 2)))
    words, determiner = [*adjectives, rng.choice(_NOUNS)], rng.choice(_DETERMINERS)
    if determiner == "a" and words[0][0] in "aeiou":
        determiner = "an"
    return " ".join((determiner, *words))


def mean_tokens(texts: Sequence[str]) -> float:
    """How many tokens a text has by CLIP's tokenizer, markers included."""
    return sum(len(clip_tokenizer().encode(text)) + MARKERS for text in texts) / len(texts)


@cache
def clip_tokenizer() -> Any:
    """CLIP's own."""
    return open_clip.SimpleTokenizer()
