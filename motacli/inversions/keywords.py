"""The keywords of a caption: runs of nouns, adjectives and determiners, as LinCIR masks them (Gu et al., CVPR 2024)."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Literal, Protocol

from motacli.errors import UsageError

SPACY_MODEL = "en_core_web_sm"
KEPT = frozenset({"NOUN", "PROPN", "ADJ", "DET"})
"""Coarse parts of speech that make up a keyword run."""
Tagger = Literal["auto", "spacy", "light"]

Run = tuple[int, int]
"""``(start, end)`` in a caption's blank-separated words."""

_FUNCTION_WORDS = """
about above across after against along also although am among and another are around as at away back be because been
before behind being below beneath beside besides between beyond both but by can could despite did do does doing done
down during each either else except for from front had has have having he her here hers herself him himself his how
however i if in inside instead into is it its itself just like made many may me might more most much must my near
nearby nor not now of off on once only onto opposite or other our out outside over own past per quite rather really
shall she should since so some such than that their them themselves then there these they those though through
throughout till to together too toward towards under underneath until up upon us very was we were what when where
which while who whom whose why will with within without would yet you your
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
_DETERMINERS = frozenset(
    {"a", "an", "the", "this", "that", "these", "those", "his", "her", "its", "their", "my", "your"}
)
_PARTICIPLE = re.compile(r"[a-z]{3,}(?:ing|ed)$")
_EDGES = ".,;:!?\"'()[]"


class KeywordTagger(Protocol):
    """Finds keyword runs. ``name`` goes into a training's record."""

    name: str

    def runs(self, captions: Iterable[str]) -> Iterator[list[Run]]:
        """The runs of each caption, in order, not overlapping."""


def find_tagger(choice: Tagger) -> KeywordTagger:
    """spaCy's tagger where its English model is installed, the light one otherwise; `UsageError` if asked in vain."""
    installed = importlib.util.find_spec("spacy") is not None and importlib.util.find_spec(SPACY_MODEL) is not None
    if choice == "spacy" and not installed:
        raise UsageError(
            f"spaCy's model {SPACY_MODEL} is not installed",
            f"pip install 'mota[keywords]' and python -m spacy download {SPACY_MODEL}, or keywords=light",
        )
    return SpacyTagger() if installed and choice != "light" else LightTagger()


class LightTagger:
    """Every word that is no function word: no model, roughly the same runs [ours].

    A word in "ed" or "ing" counts where a noun can follow ("a dotted star"), not where it looks like a verb ("a man
    riding a horse"). It differs from a real tagger in finite verbs and adverbs, which it takes for keywords.
    """

    name = "light"

    def runs(self, captions: Iterable[str]) -> Iterator[list[Run]]:
        """The runs of each caption."""
        return (light_runs(caption) for caption in captions)


def light_runs(caption: str) -> list[Run]:
    """The runs that `LightTagger` finds in one caption. Punctuation behind a word ends its run."""
    words = caption.lower().split()
    bare, ends = [word.strip(_EDGES) for word in words], [word[-1] in _EDGES for word in words]
    behind = [None if end or at + 1 == len(bare) else bare[at + 1] for at, end in enumerate(ends)]
    return _runs_of([_is_keyword(word, after) for word, after in zip(bare, behind, strict=True)], ends)


class SpacyTagger:
    """LinCIR's own: coarse parts of speech of spaCy's small English model, without its parser and entities."""

    name = f"spacy {SPACY_MODEL}"

    def runs(self, captions: Iterable[str]) -> Iterator[list[Run]]:
        """The runs of each caption; a word of several tokens is a keyword if all of its letters' tokens are."""
        pipeline = _pipeline()
        for document in pipeline.pipe(captions, batch_size=256):
            words = document.text.split()
            spans = _word_spans(document.text, words)
            kept = [_all_kept(document.char_span(*span, alignment_mode="expand")) for span in spans]
            yield _runs_of(kept, [word[-1] in _EDGES for word in words])


@cache
def _pipeline() -> Any:
    import spacy

    return spacy.load(SPACY_MODEL, exclude=["parser", "ner", "lemmatizer"])


def _all_kept(tokens: Any) -> bool:
    content = [token for token in tokens if not token.is_punct]
    return bool(content) and all(token.pos_ in KEPT for token in content)


def _word_spans(text: str, words: Sequence[str]) -> list[Run]:
    """Where each blank-separated word stands in the text."""
    spans, at = [], 0
    for word in words:
        at = text.index(word, at)
        spans.append((at, at + len(word)))
        at += len(word)
    return spans


def _is_keyword(word: str, after: str | None) -> bool:
    """Whether a word, with the one behind it in its clause, is part of a run."""
    if not word or word in FUNCTION_WORDS:
        return False
    leads = after is not None and after not in FUNCTION_WORDS and after not in _DETERMINERS
    return leads or _PARTICIPLE.match(word) is None


def _runs_of(kept: Sequence[bool], ends: Sequence[bool]) -> list[Run]:
    """Maximal stretches of kept words, cut behind those that end one."""
    runs: list[Run] = []
    start = None
    for index, (keep, end) in enumerate(zip(kept, ends, strict=True)):
        if keep and start is None:
            start = index
        if start is not None and not keep:
            runs.append((start, index))
            start = None
        elif start is not None and end:
            runs.append((start, index + 1))
            start = None
    if start is not None:
        runs.append((start, len(kept)))
    return runs
