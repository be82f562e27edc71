"""An edit of a caption, and the caption after some edits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.heads import under_head
from motacli.triplets.editing.morphology import capitalised, lowered, with_article
from motacli.triplets.editing.splices import Splice, apply
from motacli.triplets.editing.vocabulary import Vocabulary

SHORT = 7
"""Tokens up to which a phrase is added without a comma."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A phrase for the end of a caption, the sentence that says so in a longer text, and where it goes among others."""

    phrase: str
    sentence: str
    order: int


@dataclass(frozen=True, slots=True)
class Edit:
    """One change: what it is, the words of its wording in wording.toml, and what it does to the text.

    ``head`` names the kind of picture anew, ``bare`` drops the old name and manner; ``touches`` are the parts of a
    picture that another edit had better leave alone; ``context`` is how it is mentioned in passing.
    """

    kind: str
    wording: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    splices: tuple[Splice, ...] = ()
    tails: tuple[Tail, ...] = ()
    head: str = ""
    bare: bool = False
    touches: frozenset[str] = frozenset()
    context: str = ""


def compose(caption: Caption, edits: Sequence[Edit], words: Vocabulary) -> str | None:
    """The caption after the edits, or None where they are in each other's way."""
    heads = [edit.head for edit in edits if edit.head]
    tails = sorted((tail for edit in edits for tail in edit.tails), key=lambda tail: tail.order)
    splices = [splice for edit in edits for splice in edit.splices]
    text, frame = caption.text, caption.frame
    if len(heads) > 1 or len({tail.order for tail in tails}) < len(tails):
        return None
    lead = text[: frame.start]
    bare = any(edit.bare for edit in edits)
    if heads:
        under = under_head(caption, words)
        if under is None:
            return None
        splices += under.splices
        lead = f"{_cased(heads[0], caption)} {under.link} "
    elif bare:
        lead = ""
    body = apply(text, frame.start, caption.tail_at, [_recased(splice, caption) for splice in splices])
    if body is None or not body.strip():
        return None
    if heads and under is not None and under.lower:
        body = body if caption.title_case else lowered(body)
    if heads and under is not None and under.article:
        body = _cased(with_article(body), caption)
    ending = text[caption.tail_at : frame.end] + ("" if heads or bare else text[frame.end :])
    result = (lead + body + ending) if not tails else _with_tails(lead + body, ending, tails, caption)
    result = re.sub(r" {2,}", " ", result).strip(" ,;")
    return capitalised(result) if text[:1].isupper() else result


def _with_tails(start: str, ending: str, tails: Sequence[Tail], caption: Caption) -> str:
    if caption.sentences > 1:
        mark = "" if ending[:1] in tuple(".!?") else "."
        after = ending[1:] if not mark else ending
        return f"{start}{mark or ending[:1]} {' '.join(capitalised(tail.sentence) for tail in tails)}{after}"
    for tail in tails:
        doubled = caption.says(("with", "without", "showing", "to"))
        doubled |= len(caption.phrases) > (1 if tail.order == 0 else 2)
        comma = (
            doubled
            or len(caption.tokens) > SHORT
            or caption.says((",", "and", "that", "which"))
            or tail is not tails[0]
        )
        start += (", " if comma else " ") + _cased(tail.phrase, caption)
    return start + ending


def _recased(splice: Splice, caption: Caption) -> Splice:
    return Splice(splice.start, splice.end, _cased(splice.text, caption)) if caption.title_case else splice


def _cased(text: str, caption: Caption) -> str:
    return re.sub(r"\b(?<!['\u2019])([a-z])", lambda m: m.group().upper(), text) if caption.title_case else text
