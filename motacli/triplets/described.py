"""Edits captions that `motacli.triplets.description` accounts for: parse, change something, write both texts.

What the text does not ask to keep may differ in a real target picture, so the target caption's *context* (background,
place, size, style) is mostly changed; captions that copy the reference's context, or drop it, train a worse adapter.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from random import Random
from typing import Any

from motacli.contracts import GeneratorInfo, ImageText, Triplet
from motacli.triplets.contexts import draw_context
from motacli.triplets.description import Description, second_object, with_article, without_second, write
from motacli.triplets.lexicon import Lexicon, load_lexicon
from motacli.triplets.rule_options import RuleOptions

CONTEXT_FIELDS = ("size", "position", "background", "pattern", "style")
MENTIONED = 0.45
"""How often a target caption brings in a new value of a piece of context that the text left open."""
SLOT = re.compile(r"{(\w+)}")
SIMPLE = ("colour", "noun", "texture", "size", "position", "background", "pattern", "style", "count")


class DescriptionEditor:
    """Edits descriptions by word classes."""

    def __init__(self, options: RuleOptions, info: GeneratorInfo) -> None:
        self.options = options
        self.info = info
        self.lexicon: Lexicon = load_lexicon()
        raw = tomllib.loads(files("motacli.triplets").joinpath("rules.toml").read_text("utf-8"))
        self.phrases: Mapping[str, list[str]] = raw["phrases"]
        self.rich: Mapping[str, list[str]] = raw["rich"]
        self.subject_forms: list[str] = raw["subject"]["forms"]

    def triplet(self, row: ImageText, before: Description, rng: Random, number: int) -> Triplet | None:
        """One triplet, or None where nothing could be changed."""
        kinds = self._pick(before, rng)
        after, phrases = before, []
        for kind in kinds:
            changed = self._change(kind, after, rng)
            if changed is None:
                return None
            phrases.append(self._phrase(kind, after, changed, rng))
            after = changed
        touched = {field for kind in kinds for field in _touches(kind)}
        context = draw_context(self.options.context, rng)
        after = self._with_context(after, touched, context, rng)
        if len(kinds) == 1 and rng.random() < self.options.restated:
            phrases.append(self._phrase(kinds[0], before, after, rng))
        relative = " and ".join(phrases)
        if rng.random() < self.options.subject:
            relative = self._with_subject(relative, after, touched, rng)
        if rng.random() < self.options.rich:
            relative = self._enrich(relative, after, touched, rng)
        return Triplet(
            id=f"{row.id}#{number}",
            source_id=row.id,
            image=row.image.id,
            reference_caption=row.caption,
            relative_caption=relative,
            target_caption=write(after, self.lexicon, rng),
            modification_type=kinds[0] if len(kinds) == 1 else "conjunction",
            context=context,
            generator=self.info,
        )

    def _pick(self, before: Description, rng: Random) -> list[str]:
        kinds = [kind for kind in (*SIMPLE, "negation") if _possible(kind, before)]
        kinds += ["removal", "second"] if before.noun2 else ["addition"] if before.count == "one" else []
        first = rng.choice(kinds)
        if rng.random() >= self.options.conjunctions:
            return [first]
        fixed = {*_touches(first), "count", "noun2"}
        others = [kind for kind in kinds if not fixed & set(_touches(kind))]
        return [first, rng.choice(others)] if others else [first]

    def _change(self, kind: str, before: Description, rng: Random) -> Description | None:
        if kind == "removal":
            return without_second(before)
        if kind in ("addition", "second"):
            nouns = [n for n in self.lexicon.values("noun") if n not in (before.noun, before.noun2)]
            return replace(before, noun2=rng.choice(nouns), colour2=self._other("colour", before.colour, rng))
        field = "colour" if kind == "negation" else kind
        old = getattr(before, field)
        changes: dict[str, Any] = {field: self._other(field, old, rng)}
        if field == "count":
            changes["position"] = None
        return replace(before, **changes)

    def _other(self, field: str, old: str | None, rng: Random) -> str:
        return rng.choice([value for value in self.lexicon.values(field) if value != old])

    def _with_context(self, after: Description, touched: set[str], mode: str, rng: Random) -> Description:
        free = [f for f in CONTEXT_FIELDS if f not in touched and not (f == "position" and after.count != "one")]
        if mode == "keep":
            return after
        mentioned = MENTIONED if mode == "change" else 0.0
        changes: dict[str, Any] = {
            f: rng.choice(self.lexicon.values(f)) if mentioned and rng.random() < mentioned else None for f in free
        }
        return replace(after, **changes)

    def _enrich(self, relative: str, after: Description, touched: set[str], rng: Random) -> str:
        known = [f for f in self.rich if f not in touched and getattr(after, f)]
        if not known:
            return relative
        field = rng.choice(known)
        kind = "colour" if field == "background" else field
        extra = rng.choice(self.rich[field]).format(**{field: self.lexicon.word(kind, getattr(after, field), rng)})
        return f"{relative}{rng.choice(('; ', ' and also '))}{extra}"

    def _with_subject(self, relative: str, after: Description, touched: set[str], rng: Random) -> str:
        """The relative caption with the subject named, where the change leaves it alone."""
        if touched & {"noun", "count"}:
            return relative
        noun = self.lexicon.word("noun", after.noun, rng)
        words = [noun if after.count == "one" else self.lexicon.plural(noun)]
        for field in ("texture", "colour"):
            value = getattr(after, field)
            if value and field not in touched and rng.random() < 0.4:
                words.insert(0, self.lexicon.word(field, value, rng))
        return rng.choice(self.subject_forms).format(edit=relative, subject=" ".join(words))

    def _phrase(self, kind: str, before: Description, after: Description, rng: Random) -> str:
        lexicon = self.lexicon
        words: dict[str, str] = {}
        for field in ("colour", "size", "pattern", "position", "style", "count", "texture"):
            value = getattr(after, field)
            if value:
                words[field] = value if field == "count" else lexicon.word(field, value, rng)
        if after.background:
            words["background"] = lexicon.word("colour", after.background, rng)
        noun = lexicon.word("noun", after.noun, rng)
        words["noun"] = noun if after.count == "one" else lexicon.plural(noun)
        words["a_noun"] = with_article(noun) if after.count == "one" else lexicon.plural(noun)
        words["nouns"] = words["noun"]
        words["old_colour"] = before.colour or ""
        old_noun = lexicon.word("noun", before.noun, rng)
        words["old_noun"] = old_noun if before.count == "one" else lexicon.plural(old_noun)
        if before.noun2:
            words["old_noun2"] = lexicon.word("noun", before.noun2, rng)
        if after.noun2:
            words["second"] = second_object(after, lexicon, rng)
        if after.texture:
            words["with_texture"] = rng.choice(lexicon.texture_phrases[after.texture])
        if kind == "size" and before.size:
            sizes = lexicon.values("size")
            bigger = sizes.index(after.size or "") > sizes.index(before.size)
            words["comparative"] = rng.choice(("bigger", "larger") if bigger else ("smaller", "tinier"))
        usable = [p for p in self.phrases[kind] if all(words.get(slot) for slot in SLOT.findall(p))]
        return rng.choice(usable).format(**words)


def _touches(kind: str) -> tuple[str, ...]:
    if kind in ("addition", "removal", "second"):
        return ("noun2", "colour2")
    return ("colour",) if kind == "negation" else ("count", "position") if kind == "count" else (kind,)


def _possible(kind: str, before: Description) -> bool:
    if kind == "negation":
        return before.colour is not None
    if kind == "count":
        return before.noun2 is None
    return kind != "position" or before.count == "one"
