"""Triplets without an LLM: edit the caption by lexicon and rule, write both texts. Sees captions only, as an LLM would.

Captions that are wholly of the tiny world's grammar are parsed into a description and written anew
(`motacli.triplets.described`); all others are edited in place (`motacli.triplets.editing`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from random import Random

from motacli.contracts import GeneratorInfo, ImageText, Outcome, Rejection, Triplet
from motacli.triplets.contexts import draw_context
from motacli.triplets.covered import is_covered
from motacli.triplets.described import DescriptionEditor
from motacli.triplets.description import parse
from motacli.triplets.editing.editor import CaptionEditor, Shares, Written
from motacli.triplets.editing.vocabulary import data_bytes
from motacli.triplets.keys import row_random
from motacli.triplets.rule_options import RuleOptions

__all__ = ["RuleGenerator", "RuleOptions"]
NO_EDIT = "no safe edit"


class RuleGenerator:
    """Edits captions by rule; those that it cannot edit safely are rejected."""

    name = "rules"
    in_order = True
    Options = RuleOptions

    def __init__(self, options: RuleOptions | None = None) -> None:
        self.options = options or RuleOptions()
        self.info = GeneratorInfo(self.name, prompt_hash=rules_digest())
        self.described = DescriptionEditor(self.options, self.info)
        ways = self.options
        self.editor = CaptionEditor(Shares(ways.conjunctions, ways.restated, ways.subject, ways.rich))

    def generate(self, rows: Iterable[ImageText]) -> Iterator[Outcome]:
        """What comes of each row in turn; it depends on the row's id, its caption and the seed only."""
        for row in rows:
            rng = row_random(self.options.seed, row)
            yield self._described(row, rng) if is_covered(row.caption) else self._edited(row, rng)

    def _described(self, row: ImageText, rng: Random) -> Outcome:
        before = parse(row.caption, self.described.lexicon)
        if before is None:
            return Outcome(row, rejections=(Rejection("no known subject", raw=row.caption),))
        found = [self.described.triplet(row, before, rng, number) for number in range(self.options.per_image)]
        return Outcome(row, tuple(triplet for triplet in found if triplet is not None))

    def _edited(self, row: ImageText, rng: Random) -> Outcome:
        caption, objection = self.editor.read(row.caption)
        if objection:
            return Outcome(row, rejections=(Rejection(NO_EDIT, objection, row.caption),))
        many = self.options.per_image
        found = self.editor.write(caption, self._contexts(rng), rng)
        triplets = tuple(self._triplet(row, number, written) for number, written in enumerate(found))
        short = f"{len(found)} of {many} triplets" if found else "nothing to change"
        missing = (Rejection(NO_EDIT, short, row.caption),) if len(found) < many else ()
        return Outcome(row, triplets, missing)

    def _contexts(self, rng: Random) -> list[str]:
        """What is to become of the context of each of a row's triplets."""
        return [draw_context(self.options.context, rng) for _ in range(self.options.per_image)]

    def _triplet(self, row: ImageText, number: int, written: Written) -> Triplet:
        return Triplet(
            id=f"{row.id}#{number}",
            source_id=row.id,
            image=row.image.id,
            reference_caption=row.caption,
            relative_caption=written.relative,
            target_caption=written.target,
            modification_type=written.kind,
            context=written.context,
            generator=self.info,
        )


@cache
def rules_digest() -> str:
    """A digest of all rules and words that triplets are written by."""
    digest = hashlib.sha256()
    folder = files("motacli.triplets")
    for content in (*((folder / name).read_bytes() for name in ("lexicon.toml", "rules.toml")), *data_bytes()):
        digest.update(content)
    return digest.hexdigest()[:12]
