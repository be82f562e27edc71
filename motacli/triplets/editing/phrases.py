"""Noun phrases: which words belong together, what is said of the thing, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motacli.triplets.editing.tagging import LIVELY
from motacli.triplets.editing.tokens import Token
from motacli.triplets.editing.vocabulary import RANKS, Noun

MODIFIERS = frozenset(("adj", "noun", "unk", "name", "poss", "num", "ing", "part", "adv"))
BINDING = frozenset(("half", "light", "dark", "bright", "pale", "deep", "high", "low", "extra", "double"))
"""Words that make one adjective with the next."""
SINGULAR = frozenset(("a", "an", "one", "this", "that", "another", "each", "every", "1"))
MANY = frozenset(("these", "those", "both", "all"))


@dataclass(frozen=True, slots=True)
class Modifier:
    """A word before a noun, or two joined by ``and``; ``text`` is as it stands, its comma included."""

    text: str
    kind: str

    @property
    def rank(self) -> int:
        """Where it stands before a noun."""
        return RANKS.index(self.kind) if self.kind in RANKS else len(RANKS)


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """Tokens ``first`` to ``last``, the last one being the head; ``noun`` is None where the head is not known."""

    first: int
    last: int
    start: int
    end: int
    determiner: str
    number: str
    modifiers: tuple[Modifier, ...]
    head: str
    noun: Noun | None
    plural: bool
    proper: bool

    @property
    def kind(self) -> str:
        """The kind of thing."""
        return self.noun.kind if self.noun else "unknown"

    def adjective(self, kind: str) -> Modifier | None:
        """What is said of the thing in a class of adjectives."""
        return next((m for m in self.modifiers if m.kind == kind), None)


def noun_phrases(text: str, tokens: Sequence[Token]) -> list[NounPhrase]:
    """All noun phrases, in order; they do not overlap."""
    found, at = [], 0
    while at < len(tokens):
        phrase = _phrase(text, tokens, at) if tokens[at].tag in ("det", *MODIFIERS) else None
        if phrase:
            found.append(phrase)
        at = phrase.last + 1 if phrase else at + 1
    return found


def _phrase(text: str, tokens: Sequence[Token], first: int) -> NounPhrase | None:
    at = first
    determiner = number = ""
    if tokens[at].tag == "det":
        determiner = tokens[at].low
        at += 1
    if at < len(tokens) and tokens[at].tag == "num":
        number = tokens[at].low
        at += 1
    head = _head(tokens, at, determiner or number)
    if head is None:
        return None
    token = tokens[head]
    modifiers = _modifiers(text, tokens[at:head])
    plural = token.plural or _counted_many(determiner, number, token.noun)
    return NounPhrase(
        first=first,
        last=head,
        start=tokens[first].start,
        end=token.end,
        determiner=determiner,
        number=number,
        modifiers=modifiers,
        head=token.text,
        noun=token.noun,
        plural=plural,
        proper=any(t.tag in ("name", "poss") for t in tokens[at : head + 1]),
    )


def _counted_many(determiner: str, number: str, noun: Noun | None) -> bool:
    if noun is not None and noun.plural == noun.word and not noun.only_plural:
        return determiner not in SINGULAR and ((bool(number) and number not in SINGULAR) or determiner in MANY)
    return False


def _head(tokens: Sequence[Token], at: int, opened: str) -> int | None:
    """The last word of the phrase whose words start at ``at``."""
    head = None
    while at < len(tokens):
        token, before = tokens[at], tokens[at - 1] if at else None
        if token.tag in ("noun", "unk", "name"):
            if head is not None and _is_hidden_verb(tokens[head], token, opened):
                break
            head = at
            if token.tag == "noun" and token.plural and not _goes_on(tokens, at):
                break
        elif token.tag in ("adj", "poss"):
            if head is not None and token.tag == "adj" and tokens[head].noun is not None:
                break
        elif token.tag in ("ing", "part", "adv"):
            if head is not None or not (opened or (before and before.tag == "adj")) or not _goes_on(tokens, at):
                break
        elif not _passes(tokens, at, head):
            break
        at += 1
    return head


def _passes(tokens: Sequence[Token], at: int, head: int | None) -> bool:
    """Whether a word that is neither noun nor adjective may stand inside of the phrase."""
    token = tokens[at]
    if token.tag == "num":
        return head is None or (token.text.isdigit() and tokens[head].tag in ("unk", "name"))
    return token.low in ("and", ",", "&") and head is None and _joins_adjectives(tokens, at)


def _goes_on(tokens: Sequence[Token], at: int) -> bool:
    return (
        at + 1 < len(tokens)
        and tokens[at + 1].tag in ("noun", "unk", "name", "adj", "part")
        and not (
            tokens[at + 1].tag == "part" and not (at + 2 < len(tokens) and tokens[at + 2].tag in ("noun", "unk", "adj"))
        )
    )


def _joins_adjectives(tokens: Sequence[Token], at: int) -> bool:
    return (
        0 < at < len(tokens) - 1
        and tokens[at - 1].tag in ("adj", "part")
        and tokens[at + 1].tag in ("adj", "part")
        and _ends_in_noun(tokens, at + 1)
    )


def _ends_in_noun(tokens: Sequence[Token], at: int) -> bool:
    while at < len(tokens) and (tokens[at].tag in ("adj", "part") or tokens[at].low in ("and", ",")):
        at += 1
    return at < len(tokens) and tokens[at].tag in ("noun", "unk")


def _is_hidden_verb(head: Token, token: Token, opened: str) -> bool:
    """Whether an unknown word after a noun is more likely a verb: ``a man juggles``."""
    if token.tag != "unk" or head.noun is None:
        return False
    if head.plural:
        return True
    return token.plural and (head.noun.kind in LIVELY or opened in SINGULAR)


def _modifiers(text: str, tokens: Sequence[Token]) -> tuple[Modifier, ...]:
    found: list[Modifier] = []
    at = 0
    while at < len(tokens):
        last = at
        while last + 2 < len(tokens) and tokens[last + 1].low in ("and", "&"):
            last += 2
        if (tokens[last].tag == "adv" or tokens[last].low in BINDING) and last + 1 < len(tokens):
            last += 1
        end = last
        if last + 1 < len(tokens) and tokens[last + 1].low == ",":
            end += 1
        token = tokens[last]
        kind = token.kind if token.tag == "adj" else token.tag
        found.append(Modifier(text[tokens[at].start : tokens[end].end], kind))
        at = end + 1
    return tuple(found)
