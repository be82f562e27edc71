"""Cuts a caption into words, expressions of several words, quotations and marks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from motacli.triplets.editing.vocabulary import Noun, Vocabulary

QUOTES = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|\u2018[^\u2019]*\u2019(?!\w)|(?<![\w'])'[^']+'(?!\w)|«[^»]*»")
WORD = re.compile(r"[^\W\d_]+(?:['\u2019\-][^\W_]+)*|\d+(?:[.,:]\d+)*(?:[^\W\d_]+|-[^\W_]+)*|[^\w\s]|_+")
ENDS = ".!?"


@dataclass(slots=True)
class Token:
    """A piece of a caption; ``tag`` says what it is there, ``kind`` the class of an adjective."""

    text: str
    low: str
    start: int
    end: int
    tag: str = ""
    kind: str = ""
    noun: Noun | None = None
    plural: bool = False


def _words(text: str, offset: int) -> list[Token]:
    found = []
    for match in WORD.finditer(text):
        word = match.group()
        start = offset + match.start()
        found.append(Token(word, word.lower().replace("\u2019", "'"), start, start + len(word)))
    return found


def tokenise(text: str, words: Vocabulary) -> list[Token]:
    """The tokens of a text in order; a quotation is one token whatever it holds."""
    tokens: list[Token] = []
    at = 0
    for match in QUOTES.finditer(text):
        tokens += _words(text[at : match.start()], at)
        tokens.append(Token(match.group(), match.group().lower(), match.start(), match.end(), "quote"))
        at = match.end()
    tokens += _words(text[at:], at)
    return _joined(text, tokens, words)


def _joined(text: str, tokens: list[Token], words: Vocabulary) -> list[Token]:
    joined: list[Token] = []
    at = 0
    while at < len(tokens):
        size = _expression(tokens, at, words)
        if size == 1:
            joined.append(tokens[at])
        else:
            parts = tokens[at : at + size]
            start, end = parts[0].start, parts[-1].end
            joined.append(Token(text[start:end], " ".join(part.low for part in parts), start, end))
        at += size
    return joined


def _expression(tokens: list[Token], at: int, words: Vocabulary) -> int:
    for parts in words.pieces.get(tokens[at].low, ()):
        if at + len(parts) <= len(tokens) and all(
            token.low == part for token, part in zip(tokens[at : at + len(parts)], parts, strict=True)
        ):
            return len(parts)
    return 1
