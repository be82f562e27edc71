"""Writes triplets from any English caption: takes it apart, picks edits, writes both texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from motacli.triplets.editing import context as surroundings
from motacli.triplets.editing import wording
from motacli.triplets.editing.caption import Caption, analyse
from motacli.triplets.editing.clashes import clash
from motacli.triplets.editing.edit import Edit, compose
from motacli.triplets.editing.operations import (
    addition,
    attribute,
    background,
    count,
    light,
    negation,
    removal,
    spatial,
    style,
    substitution,
    viewpoint,
)
from motacli.triplets.editing.screening import objection
from motacli.triplets.editing.vocabulary import Vocabulary, vocabulary

OPERATIONS = {
    "addition": (addition.edits, 1.0), "removal": (removal.edits, 9.0), "substitution": (substitution.edits, 1.6),
    "attribute": (attribute.edits, 1.6), "count": (count.edits, 4.0), "background": (background.edits, 1.0),
    "viewpoint": (viewpoint.edits, 0.7), "style": (style.edits, 0.7), "spatial": (spatial.edits, 1.0),
    "negation": (negation.edits, 1.2),
}  # fmt: skip
"""What lists the edits of a type, and how often the type is tried before others."""
MODIFICATION_TYPES = (*OPERATIONS, "conjunction")
TOGETHER = frozenset(("addition", "removal", "substitution", "attribute", "background", "style", "viewpoint"))
"""Types that go well with another one."""
TWICE = re.compile(r"\b(\w+) \1\b", re.I)


@dataclass(frozen=True, slots=True)
class Shares:
    """How often a triplet is written in each of the ways of `motacli.triplets.rules.RuleOptions`."""

    conjunctions: float
    restated: float
    subject: float
    rich: float


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a caption."""

    relative: str
    target: str
    kind: str
    context: str


class CaptionEditor:
    """Edits captions by lexicon and rule."""

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.words: Vocabulary = vocabulary()

    def read(self, text: str) -> tuple[Caption, str]:
        """A caption taken apart, and why it cannot be edited, empty where it can."""
        caption = analyse(" ".join(text.split()), self.words)
        return caption, objection(caption, self.words)

    def write(self, caption: Caption, contexts: Sequence[str], rng: Random) -> list[Written]:
        """Different edits, one for each wish in ``contexts`` as far as there are, of different types if possible."""
        found: list[Written] = []
        for wish in contexts:
            used = {w.kind for w in found}
            written = self._one(caption, wish, used, {w.target for w in found}, rng)
            if written is None:
                break
            found.append(written)
        return found

    def _one(self, caption: Caption, wish: str, used: set[str], targets: set[str], rng: Random) -> Written | None:
        kinds = sorted(OPERATIONS, key=lambda kind: rng.random() ** (1 / OPERATIONS[kind][1]), reverse=True)
        kinds.sort(key=lambda kind: kind in used)
        wants_two = rng.random() < self.shares.conjunctions and "conjunction" not in used
        if wants_two:
            kinds.sort(key=lambda kind: kind not in TOGETHER)
        for kind in kinds:
            edits = self._edits(kind, caption, rng)
            rng.shuffle(edits)
            for edit in edits[:3]:
                if wants_two and kind in TOGETHER:
                    second = self._second(edit, kinds, caption, rng)
                    written = second and self._written(caption, [edit, second], wish, rng)
                    if written and written.target not in targets:
                        return written
                written = self._written(caption, [edit], wish, rng)
                if written is not None and written.target not in targets:
                    return written
        return None

    def _edits(self, kind: str, caption: Caption, rng: Random) -> list[Edit]:
        edits = OPERATIONS[kind][0](caption, self.words, rng)
        if kind == "background" and (not edits or rng.random() < 0.25):
            edits = edits + light.edits(caption, self.words, rng)
        return edits

    def _second(self, first: Edit, kinds: Sequence[str], caption: Caption, rng: Random) -> Edit | None:
        for kind in kinds:
            if kind == first.kind or kind not in TOGETHER:
                continue
            edits = [e for e in self._edits(kind, caption, rng) if not clash(first, e)]
            if edits:
                return rng.choice(edits)
        return None

    def _written(self, caption: Caption, edits: list[Edit], wish: str, rng: Random) -> Written | None:
        if compose(caption, edits, self.words) is None:
            return None
        extra, mode, target = self._with_context(caption, edits, wish, rng)
        relative = self._relative(caption, edits, extra, rng)
        if not self._is_sound(caption, relative, target):
            return None
        return Written(relative, target, edits[0].kind if len(edits) == 1 else "conjunction", mode)

    def _with_context(self, caption: Caption, edits: list[Edit], wish: str, rng: Random) -> tuple[list[Edit], str, str]:
        """The edits of the context, what they come to, and the target; what cannot be had gives way."""
        touched = frozenset(part for edit in edits for part in edit.touches)
        if wish == "omit":
            dropped = surroundings.omission(caption, touched)
            target = compose(caption, [*edits, *dropped], self.words) if dropped else None
            if target is not None:
                return [], "omit", target
        if wish != "keep":
            for changed in surroundings.changes(caption, touched, self.words, rng):
                if any(clash(edit, other) for edit in edits for other in changed):
                    continue
                target = compose(caption, [*edits, *changed], self.words)
                if target is not None:
                    return changed, "change", target
        return [], "keep", compose(caption, edits, self.words) or ""

    def _relative(self, caption: Caption, edits: list[Edit], extra: list[Edit], rng: Random) -> str:
        draws = [rng.random() for _ in range(3)]
        subject = self._stays(caption, edits)
        if len(edits) > 1:
            relative = wording.joined(edits, self.words, rng)
        elif draws[0] < self.shares.restated:
            relative = wording.restated(edits[0], self.words, rng)
        elif draws[1] < self.shares.subject and subject:
            relative = wording.with_subject(edits[0], subject, self.words, rng)
        else:
            relative = wording.said(edits[0], self.words, rng)
        mention = surroundings.mention(extra, rng)
        if draws[2] < self.shares.rich and mention:
            relative = wording.with_context(relative, mention, self.words, rng)
        return relative

    def _stays(self, caption: Caption, edits: list[Edit]) -> str:
        """The name of the caption's main thing where no edit is about it."""
        main = caption.main
        touched = {part for edit in edits for part in edit.touches}
        named = {edit.words.get("noun", "") for edit in edits}
        if (
            main is None
            or main.noun is None
            or main.proper
            or f"thing {main.first}" in touched
            or main.head.lower() in named
        ):
            return ""
        return "" if main.kind in ("abstract", "measure", "text") else main.head.lower()

    def _is_sound(self, caption: Caption, relative: str, target: str) -> bool:
        """Whether both texts say something new."""
        plain = [re.sub(r"[\W_]+", " ", text.lower()).strip() for text in (caption.text, relative, target)]
        if len(set(plain)) < 3 or not all(plain):
            return False
        return not TWICE.search(target) or bool(TWICE.search(caption.text))
