"""A caption taken apart as far as edits need it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from motacli.triplets.editing.frame import Frame, frame_of
from motacli.triplets.editing.phrases import NounPhrase, noun_phrases
from motacli.triplets.editing.setting import Scene, Span, find_light, find_scene, is_placed
from motacli.triplets.editing.tagging import tag
from motacli.triplets.editing.tokens import ENDS, Token, tokenise
from motacli.triplets.editing.vocabulary import Noun, Vocabulary

NOT_FINITE = frozenset(("be", "been", "being"))
EXISTENTIAL = re.compile(r"(?:there (?:is|are)|this is|it is|it's|these are) ", re.I)


@dataclass(frozen=True)
class Caption:
    """A caption's words and what is known of them.

    ``form`` is ``phrase`` (a thing and what is said of it), ``clause`` (a sentence with a verb), ``unclear`` or
    ``other``; ``subject`` is the first noun phrase where the description starts with it, ``finite`` a clause's verbs.
    ``opening`` is a ``there is`` before the subject, ``tail_at`` where phrases can be added at the end.
    """

    text: str
    tokens: Sequence[Token]
    phrases: Sequence[NounPhrase]
    frame: Frame
    form: str
    subject: NounPhrase | None
    finite: tuple[int, ...]
    opening: Span | None
    sentences: int
    tail_at: int
    scene: Scene | None
    light: Span | None
    placed: bool
    title_case: bool
    lows: frozenset[str] = field(repr=False)

    @property
    def noun(self) -> Noun | None:
        """The noun of what the caption is of, where known; of ``a group of dogs`` that is the dogs."""
        phrase = self.main
        return phrase.noun if phrase else None

    @property
    def main(self) -> NounPhrase | None:
        """The phrase that names what the caption is of."""
        subject = self.subject
        if subject is None or self.low(subject.last + 1) != "of":
            return subject
        if subject.kind not in ("measure", "people", "unknown", "beast") or subject.proper:
            return subject
        return next((p for p in self.phrases if p.first == subject.last + 2), subject)

    def low(self, at: int) -> str:
        """A token in small letters, empty outside of the caption."""
        return self.tokens[at].low if 0 <= at < len(self.tokens) else ""

    def tag(self, at: int) -> str:
        """A token's tag, empty outside of the caption."""
        return self.tokens[at].tag if 0 <= at < len(self.tokens) else ""

    def says(self, words: Iterable[str]) -> bool:
        """Whether one of these words is in the caption."""
        return not self.lows.isdisjoint(words)


def analyse(text: str, words: Vocabulary) -> Caption:
    """Take a caption apart."""
    tokens = tokenise(text, words)
    title_case = bool(tokens) and _is_title_case(tokens, words)
    tag(tokens, words, title_case)
    frame = frame_of(text, tokens, words)
    opening = EXISTENTIAL.match(text, frame.start)
    start = opening.end() if opening else frame.start
    inside = [token for token in tokens if token.end <= frame.end]
    phrases = noun_phrases(text, inside)
    phrases = [p for p in phrases if p.start >= start]
    first = phrases[0] if phrases and phrases[0].start == start else None
    ends = _sentence_ends(inside)
    finite = _finite(inside, first, ends[0] if ends else len(inside))
    form = "other" if first is None else "clause" if finite else "phrase"
    end = ends[0] if ends else len(inside)
    if form == "phrase" and first is not None and (_may_be_clause(inside, first, end) or _hides_verb(phrases, inside)):
        form = "unclear"
    return Caption(
        text=text,
        tokens=inside,
        phrases=phrases,
        frame=frame,
        form=form,
        subject=first,
        finite=finite,
        opening=Span(opening.start(), opening.end(), opening.group()) if opening else None,
        sentences=len(ends) + (not inside or inside[-1].low not in ENDS),
        tail_at=len(text[: frame.end].rstrip(" .,;!?:")),
        scene=find_scene(text, inside, phrases, words),
        light=find_light(text, frame.start, frame.end),
        placed=is_placed(inside, phrases, words),
        title_case=title_case,
        lows=frozenset(part for token in tokens for part in (token.low, *token.low.split())),
    )


def _is_title_case(tokens: Sequence[Token], words: Vocabulary) -> bool:
    """Whether common words are written with capitals too, and not just names."""
    long = [token for token in tokens if token.text[0].isalpha() and len(token.text) > 3]
    upper = [token for token in long[1:] if token.text[0].isupper()]
    common = [token for token in upper if token.low in words.nouns or token.low in words.adjectives]
    return tokens[0].text[0].isupper() and len(common) >= 2 and len(upper) >= 0.75 * (len(long) - 1)


def _sentence_ends(tokens: Sequence[Token]) -> list[int]:
    return [at for at, token in enumerate(tokens) if token.low in ENDS]


def _may_be_clause(tokens: Sequence[Token], subject: NounPhrase, end: int) -> bool:
    """Whether a verb after a relative clause may be the sentence's own: ``a cat that I know sits there``."""
    verbs = [at for at in range(subject.last + 1, end) if _is_finite(tokens[at])]
    verbs = [at for at in verbs if tokens[at - 1].low not in ("and", "or", ",")]
    return len(verbs) > 1


def _hides_verb(phrases: Sequence[NounPhrase], tokens: Sequence[Token]) -> bool:
    """Whether an unknown word stands between two phrases as a verb would: ``a man in a car juggles``."""
    lasts = {phrase.last for phrase in phrases}
    return any(tokens[p.first].tag == "unk" and p.first - 1 in lasts for p in phrases)


def _is_finite(token: Token) -> bool:
    return token.tag in ("aux", "verb") and token.low not in NOT_FINITE


def _finite(tokens: Sequence[Token], subject: NounPhrase | None, end: int) -> tuple[int, ...]:
    """The verbs of the first sentence that are not in a relative clause; none where it has no subject."""
    if subject is None:
        return ()
    found: list[int] = []
    for at in range(subject.last + 1, end):
        token = tokens[at]
        if token.tag == "rel" and not found:
            # What follows belongs to the relative clause; whether a verb comes after it cannot be told.
            break
        hidden = at == subject.last + 1 and token.tag == "unk"
        if hidden or _is_finite(token):
            found.append(at)
    return tuple(found)
