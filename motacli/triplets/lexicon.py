"""The words that rules can edit: classes of meanings with their synonyms, read from `lexicon.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random


@dataclass(frozen=True)
class Lexicon:
    """``classes[class][name]`` lists a meaning's words; ``names[class][word]`` goes back from a word to its meaning."""

    classes: Mapping[str, Mapping[str, tuple[str, ...]]]
    names: Mapping[str, Mapping[str, str]]
    texture_phrases: Mapping[str, tuple[str, ...]]
    plurals: Mapping[str, str]
    backgrounds: tuple[str, ...]

    def word(self, kind: str, name: str, rng: Random) -> str:
        """A word for a meaning."""
        return rng.choice(self.classes[kind][name])

    def plural(self, word: str) -> str:
        """The plural of a noun."""
        return self.plurals.get(word, word + "s")

    def values(self, kind: str) -> tuple[str, ...]:
        """The meanings a field can take; backgrounds are a part of the colours."""
        return self.backgrounds if kind == "background" else tuple(self.classes[kind])


@cache
def load_lexicon() -> Lexicon:
    """The shipped lexicon."""
    raw = tomllib.loads(files("motacli.triplets").joinpath("lexicon.toml").read_text("utf-8"))
    classes = {kind: {words[0]: tuple(words) for words in groups} for kind, groups in raw["classes"].items()}
    names = {kind: {w: name for name, words in groups.items() for w in words} for kind, groups in classes.items()}
    for word in list(names["noun"]):
        names["noun"][raw["plurals"].get(word, word + "s")] = names["noun"][word]
    return Lexicon(
        classes=classes,
        names=names,
        texture_phrases={name: tuple(words) for name, words in raw["texture_phrases"].items()},
        plurals=raw["plurals"],
        backgrounds=tuple(raw["context"]["background"]),
    )
