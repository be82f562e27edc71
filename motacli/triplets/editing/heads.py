"""Puts a description under a head such as ``an oil painting of``, which takes a thing and not a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from motacli.triplets.editing.caption import Caption
from motacli.triplets.editing.splices import Splice
from motacli.triplets.editing.vocabulary import Vocabulary

BE = ("is", "are", "was", "were")
AFTER_BE = ("ing", "part", "prep")


@dataclass(frozen=True, slots=True)
class Under:
    """How a description goes on after a head: the word between them, and whether it still lacks its article."""

    link: str = "of"
    splices: tuple[Splice, ...] = ()
    lower: bool = False
    article: bool = False


def under_head(caption: Caption, words: Vocabulary) -> Under | None:
    """How to put the caption under a head, or None where it would not be English."""
    subject = caption.subject
    if subject is None or (caption.frame.head and caption.form == "clause"):
        return None
    named = subject.determiner or subject.number or subject.plural or subject.proper
    lacking = not named and subject.noun is not None and subject.noun.countable
    if not (named or lacking or (subject.noun and not subject.noun.countable)):
        return None
    opening = (Splice(caption.opening.start, caption.opening.end, ""),) if caption.opening else ()
    first = caption.tokens[subject.first]
    known = first.low in words.closed or first.low in words.adjectives or first.noun is not None
    lower = first.tag != "name" and known and words.adjectives.get(first.low) != "origin"
    if caption.form == "phrase":
        return Under(splices=opening, lower=lower, article=lacking)
    if caption.form != "clause":
        return None
    participle = _as_participle(caption, words)
    if participle is not None:
        return Under(splices=(*opening, participle), lower=lower, article=lacking)
    return None if opening or lacking else Under(link="in which", lower=lower)


def _as_participle(caption: Caption, words: Vocabulary) -> Splice | None:
    """Turns ``a dog is sitting`` or ``a dog sits`` into ``a dog sitting``."""
    if len(caption.finite) != 1:
        return None
    at = caption.finite[0]
    token = caption.tokens[at]
    if token.low in BE and caption.tag(at + 1) in AFTER_BE:
        return Splice(caption.tokens[at - 1].end, token.end, "")
    form = words.verbs.get(token.low)
    if token.tag == "verb" and form and form.form in ("third", "base") and caption.tag(at - 1) != "aux":
        return Splice(token.start, token.end, words.ing[form.base])
    return None
