"""What is known of English words, read from the TOML files below ``data``."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from motacli.triplets.editing.morphology import plural_of, verb_forms

DATA_FILES = ("adjectives", "kinds", "nouns", "scenes", "signs", "wording", "words")
RANKS = (
    "other",
    "opinion",
    "size",
    "length",
    "age",
    "state",
    "texture",
    "shape",
    "colour",
    "pattern",
    "origin",
    "material",
)
"""Classes of adjectives in the order in which they stand before a noun."""


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun, the group it belongs to, and the nouns that may stand in its place."""

    word: str
    plural: str
    group: str
    kind: str
    siblings: tuple[str, ...]
    mass: bool
    only_plural: bool

    @property
    def countable(self) -> bool:
        """Whether it can be one of several."""
        return not (self.mass or self.only_plural)


@dataclass(frozen=True, slots=True)
class VerbForm:
    """A form of a verb: ``form`` is base, third, past, participle or ing."""

    base: str
    form: str


@dataclass(frozen=True)
class Vocabulary:
    """Words by what they are. ``nouns`` and ``plurals`` go from a form to its noun, ``adjectives`` to the class."""

    nouns: Mapping[str, Noun]
    plurals: Mapping[str, Noun]
    adjectives: Mapping[str, str]
    verbs: Mapping[str, VerbForm]
    ing: Mapping[str, str]
    closed: Mapping[str, str]
    lists: Mapping[str, frozenset[str]]
    pieces: Mapping[str, tuple[tuple[str, ...], ...]]
    kinds: Mapping[str, dict[str, Any]]
    groups: Mapping[str, dict[str, Any]]
    scenes: Mapping[str, Any]
    wording: Mapping[str, Mapping[str, list[str]]]
    choices: Mapping[str, Mapping[str, list[str]]]

    def allows(self, noun: Noun | None) -> Mapping[str, Any]:
        """What pictures of a noun allow: what is said of its kind, or more narrowly of its group."""
        return self.kinds[noun.kind] | self.groups.get(noun.group, {}) if noun else self.kinds["unknown"]


def data_bytes() -> Iterable[bytes]:
    """The files that decide what the editor writes."""
    folder = files("motacli.triplets.editing") / "data"
    return [(folder / f"{name}.toml").read_bytes() for name in DATA_FILES]


def _nouns(raw: Mapping[str, Any], irregular: Mapping[str, str], plural_only: Collection[str]) -> dict[str, Noun]:
    found = {}
    for group, entry in raw.items():
        words = tuple(entry["words"])
        for word in words:
            only = bool(entry.get("plural")) or word in plural_only
            found[word] = Noun(
                word=word,
                plural=word if only else plural_of(word, irregular),
                group=group,
                kind=entry["kind"],
                siblings=tuple(w for w in entry.get("siblings", () if entry.get("apart") else words) if w != word),
                mass=bool(entry.get("mass")),
                only_plural=only,
            )
    return found


def _verbs(words: Mapping[str, Any]) -> dict[str, VerbForm]:
    found: dict[str, VerbForm] = {}
    for base in words["verbs"]:
        third, past, participle, ing = words["irregular_verbs"].get(base) or verb_forms(base)
        forms = {"ing": ing, "participle": participle, "past": past, "third": third, "base": base}
        for form, word in forms.items():
            found.setdefault(word, VerbForm(base, form))
    return found


def _pieces(phrases: Iterable[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Expressions of several words by their first word, the longest first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for phrase in phrases:
        parts = tuple(phrase.split())
        if len(parts) > 1:
            found.setdefault(parts[0], []).append(parts)
    return {first: tuple(sorted(set(many), key=lambda parts: (-len(parts), parts))) for first, many in found.items()}


CLOSED = {
    "determiners": "det", "numbers": "num", "prepositions": "prep", "conjunctions": "conj", "relatives": "rel",
    "questions": "rel", "pronouns": "pron", "addressed": "pron", "auxiliaries": "aux", "adverbs": "adv",
}  # fmt: skip


@cache
def vocabulary() -> Vocabulary:
    """The shipped vocabulary."""
    raw = {name: tomllib.loads(text.decode()) for name, text in zip(DATA_FILES, data_bytes(), strict=True)}
    words, adjectives, scenes = raw["words"], raw["adjectives"], raw["scenes"]
    nouns = _nouns(raw["nouns"], words["plurals"], words["always_plural"])
    plurals = {noun.plural: noun for noun in nouns.values() if not noun.mass}
    closed: dict[str, str] = {}
    for name, tag in CLOSED.items():
        for word in words[name]:
            closed.setdefault(word, tag)
    classes = {word: name for name in (RANKS[0], *reversed(RANKS[1:])) for word in adjectives[name]["words"]}
    verbs = _verbs(words)
    lists = {
        name: frozenset(words[name]) for name in (*CLOSED, "possessives", "imperatives", "foreign", "anywhere", "bound")
    }
    lists |= {name: frozenset(many) for name, many in raw["signs"].items()}
    for name in ("tails", "tail_marks"):
        lists[name] = frozenset(part for word in scenes["styles"][name] for part in (word, *word.split("-")))
    lists["light"] = frozenset(scenes["light"]["words"])
    return Vocabulary(
        nouns=nouns,
        plurals=plurals,
        adjectives=classes,
        verbs=verbs,
        ing={form.base: word for word, form in verbs.items() if form.form == "ing"},
        closed=closed,
        lists=lists,
        pieces=_pieces([*nouns, *plurals, *classes, *closed]),
        kinds=raw["kinds"]["kinds"],
        groups=raw["kinds"]["groups"],
        scenes=scenes,
        wording=raw["wording"],
        choices={name: adjectives[name] for name in ("palettes", "sizes", "values", "alike")},
    )
