"""Composed queries of the tiny world: an edit, a target that drifted, and pictures that make it hard.

*Drift*: what the text does not mention may differ between reference and target (`world.CONTEXT`), as between two
photographs of people's lives. Without it the plain sum of image and text features wins every benchmark, which it does
not on real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.random import Generator

from motacli.tiny import edits
from motacli.tiny.world import CONTEXT, Attr, Scenes, first_where, redraw, sample_scenes, satisfies, valid


@dataclass(frozen=True)
class Rules:
    """How hard a benchmark's queries are.

    ``drift`` is the chance that each unmentioned context attribute of the target is drawn anew, ``facts`` the chance
    that a relative caption states a given part of the target's context, ``subject`` the chance that it names what
    stays, ``kinds`` the modification types in use, ``conjunctions`` the share of two edits at once.
    """

    kinds: tuple[str, ...] = tuple(edits.TYPES)
    drift: float = 0.9
    facts: float = 0.35
    subject: float = 0.5
    conjunctions: float = 0.25
    context: tuple[Attr, ...] = CONTEXT

    @property
    def kept(self) -> tuple[Attr, ...]:
        """What stays as it is in the reference unless the text changes it."""
        return tuple(attr for attr in Attr if attr not in self.context)


@dataclass(frozen=True)
class TinyQuery:
    """A composed query in scenes: ``wanted`` holds what every right answer must show (-1: free)."""

    edit: edits.Edit
    reference: Scenes
    target: Scenes
    wanted: Scenes
    text: str

    @property
    def kind(self) -> str:
        """The modification type."""
        return self.edit.name


@dataclass
class Source:
    """The two random generators of a benchmark: ``numbers`` draws scenes, ``words`` texts."""

    numbers: Generator
    words: Random
    split: str

    @classmethod
    def seeded(cls, seed: int, split: str, stream: int) -> Source:
        """Independent generators for a world seed, a split and a stream number."""
        offset = {"train": 0, "val": 1, "test": 2}[split]
        return cls(np.random.default_rng([seed, offset, stream]), Random(f"{seed}-{split}-{stream}"), split)


def drifted(scene: Scenes, fixed: Sequence[Attr], source: Source, rules: Rules) -> Scenes:
    """The scene with each context attribute outside ``fixed`` drawn anew with the rules' chance."""
    free = [attr for attr in rules.context if attr not in fixed and source.numbers.random() < rules.drift]
    if scene[Attr.COUNT] > 0:
        free = [attr for attr in free if attr is not Attr.POSITION]
    other = redraw(source.numbers, scene, free, source.split) if free else scene
    return scene if other is None else other


def pick_kinds(rules: Rules, source: Source) -> tuple[str, ...]:
    """One modification type, or two that touch different attributes."""
    first = source.words.choice(rules.kinds)
    if source.words.random() >= rules.conjunctions:
        return (first,)
    touched = {*edits.TYPES[first], Attr.COUNT, Attr.SHAPE2}
    others = [kind for kind in rules.kinds if not touched & set(edits.TYPES[kind])]
    return (first, source.words.choice(others)) if others else (first,)


def draw_query(
    rules: Rules, source: Source, reference: Scenes | None = None, like: edits.Edit | None = None
) -> TinyQuery:
    """A random query, about a given reference scene or any; ``like`` is an edit to ask for again if it fits."""
    while True:
        scene = sample_scenes(source.numbers, 1, source.split)[0] if reference is None else reference
        edit = draw_edit(rules, source, scene, like)
        if edit is not None:
            target = drifted(edit.target, edit.attrs, source, rules)
            return worded(edit, target, rules, source)


def draw_edit(rules: Rules, source: Source, scene: Scenes, like: edits.Edit | None = None) -> edits.Edit | None:
    """The edit ``like`` where it fits the scene, else a random one, or None where that leads nowhere."""
    same = None if like is None else edits.again(like, scene, source.split)
    return same or edits.apply(pick_kinds(rules, source), scene, source.numbers, source.split)


def worded(edit: edits.Edit, target: Scenes, rules: Rules, source: Source) -> TinyQuery:
    """The query for an edit whose target, context drifted, is ``target``."""
    text, extra = caption(edit, target, rules, source)
    return TinyQuery(edit, edit.source, target, wanted(target, edit, extra, rules), text)


def wanted(target: Scenes, edit: edits.Edit, stated: Sequence[Attr], rules: Rules) -> Scenes:
    """What a right answer must show ``(len(Attr),)``, -1 where it is free."""
    fixed = {*rules.kept, *edit.attrs, *stated}
    return np.array([target[attr] if attr in fixed else -1 for attr in Attr], dtype=np.int8)


def sibling(scene: Scenes, source: Source) -> Scenes:
    """A picture taken in the same place: another subject in one or two respects, the context as it was."""
    for _ in range(16):
        kinds = tuple(source.words.sample(("colour", "texture", "shape"), k=source.words.choice((1, 1, 2))))
        edit = edits.apply(kinds, scene, source.numbers, source.split)
        if edit is not None:
            return edit.target
    return scene


def caption(edit: edits.Edit, target: Scenes, rules: Rules, source: Source) -> tuple[str, tuple[Attr, ...]]:
    """A relative caption in the split's words, and the context of ``target`` that it states besides the edit."""
    words, bank = source.words, source.split
    text = edits.phrase(edit, words, bank)
    free = [a for a in edits.FACTS if a not in edit.attrs and not (a is Attr.POSITION and target[Attr.COUNT] > 0)]
    said = tuple(attr for attr in free if words.random() < rules.facts)
    if words.random() < rules.subject:
        text = edits.with_subject(text, edit, words, bank)
    return edits.with_facts(text, said, target, words, bank), said


def like_reference(query: TinyQuery, source: Source) -> Scenes:
    """The reference's scene, where the edit did not happen or went elsewhere: same context, wrong answer."""
    for _ in range(8):
        kind = source.words.choice(("colour", "texture", "shape", "addition", "second", "style"))
        wrong = edits.apply((kind,), query.reference, source.numbers, source.split)
        if wrong is not None and not fits(wrong.target, query):
            return wrong.target
    return query.reference


def like_text(query: TinyQuery, source: Source, tries: int = 48) -> Scenes:
    """A picture that the relative caption fits although it shows another subject."""
    said = list(set(query.edit.attrs) | {attr for attr in CONTEXT if query.wanted[attr] >= 0})
    scenes = sample_scenes(source.numbers, tries, source.split)
    scenes[:, said] = query.target[said]
    wrong = ~satisfies(scenes, query.wanted[None])[0]
    found = first_where(scenes, valid(scenes, source.split) & wrong)
    return sample_scenes(source.numbers, 1, source.split)[0] if found is None else found


def like_both(query: TinyQuery, source: Source) -> Scenes:
    """The edit done right in the reference's own context, but to another subject: what adding the halves would pick."""
    scene = query.reference.copy()
    said = list(query.edit.attrs)
    scene[said] = query.target[said]
    free = [attr for attr in (Attr.SHAPE, Attr.COLOUR, Attr.TEXTURE) if attr not in said]
    for _ in range(8):
        changed = source.words.sample(free, k=min(len(free), source.words.choice((1, 1, 2))))
        wrong = redraw(source.numbers, scene, changed, source.split)
        if wrong is not None and not fits(wrong, query):
            return wrong
    return like_reference(query, source)


def near_target(query: TinyQuery, source: Source) -> Scenes:
    """The target's own scene with the edit gone wrong: another value of what was to change, or one more change."""
    for _ in range(8):
        kind = source.words.choice((*query.edit.kinds, "colour", "texture", "shape"))
        wrong = edits.apply((kind,), query.target, source.numbers, source.split)
        if wrong is not None and not fits(wrong.target, query):
            return wrong.target
    return query.reference


def fits(scene: Scenes, query: TinyQuery) -> bool:
    """Whether a scene is a right answer to the query."""
    return bool(np.all((query.wanted < 0) | (query.wanted == scene)))
