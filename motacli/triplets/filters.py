"""What a triplet has to be to get into the file. Each filter is an option, and counted in the record.

A filter refuses triplets of any generator. `FilterOptions` names ours; those that need a library of an extra, or a
backbone, are made when they are asked for.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from motacli.contracts import Backbone, ImageText, Outcome, Rejection, Triplet
from motacli.errors import DataError, UsageError
from motacli.extras import needed


class Candidate(NamedTuple):
    """A triplet that wants to get in, and the row it was made from."""

    row: ImageText
    triplet: Triplet


class Filter(Protocol):
    """Refuses triplets. ``str`` of it goes into the record.

    One with ``remember(triplet)`` is told of what an earlier attempt of the same run kept.
    """

    reason: str

    def check(self, candidates: Sequence[Candidate]) -> list[str]:
        """For each candidate what is wrong with it, or an empty text."""


@dataclass(frozen=True)
class FilterOptions:
    """Which filters are on.

    ``equal`` refuses a target caption that is the reference caption, ``repeats`` a relative caption that is the target
    caption; neither sees case and punctuation. ``max_tokens`` bounds relative and target caption in CLIP's tokens,
    ``min_words`` and ``max_words`` in words. ``language`` is a code such as ``en`` (needs ``mota[filters]``).
    ``banned`` is a file of words and phrases, one per line. ``near_duplicates`` refuses a triplet whose texts share so
    much of their 3-word shingles with an earlier one's, by MinHash (needs ``mota[filters]``). Three are cosines of a
    backbone: ``picture_min`` of picture and reference caption, ``target_min`` and ``target_max`` of reference and
    target caption. Zero is off.
    """

    equal: bool = True
    repeats: bool = True
    min_words: int = 0
    max_words: int = 0
    max_tokens: int = 0
    language: str = ""
    banned: str = ""
    near_duplicates: float = 0.0
    picture_min: float = 0.0
    target_min: float = 0.0
    target_max: float = 0.0

    @property
    def need_backbone(self) -> bool:
        """Whether some filter looks through a backbone."""
        return any((self.picture_min, self.target_min, self.target_max))

    def __post_init__(self) -> None:
        if not 0 <= self.near_duplicates <= 1:
            raise ValueError(f"near_duplicates must lie in 0..1, not be {self.near_duplicates}")
        if min(self.min_words, self.max_words, self.max_tokens) < 0:
            raise ValueError("min_words, max_words and max_tokens must not be negative")
        if 0 < self.max_words < self.min_words:
            raise ValueError(f"min_words is {self.min_words} and max_words only {self.max_words}")
        for name in ("picture_min", "target_min", "target_max"):
            if not -1 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a cosine and must lie in -1..1, not be {getattr(self, name)}")
        if self.target_max and self.target_max < self.target_min:
            raise ValueError(f"target_min is {self.target_min} and target_max only {self.target_max}")


def screen(outcomes: Sequence[Outcome], filters: Sequence[Filter]) -> list[Outcome]:
    """The outcomes, what some filter refuses turned into rejections; the first that does counts."""
    for one in filters:
        found = one.check([Candidate(outcome.row, triplet) for outcome in outcomes for triplet in outcome.triplets])
        wrong = iter(found)
        outcomes = [_screened(outcome, one.reason, [next(wrong) for _ in outcome.triplets]) for outcome in outcomes]
    return list(outcomes)


def _screened(outcome: Outcome, reason: str, wrong: Sequence[str]) -> Outcome:
    if not any(wrong):
        return outcome
    kept = tuple(triplet for triplet, why in zip(outcome.triplets, wrong, strict=True) if not why)
    refused = tuple(
        Rejection(reason, why, json.dumps(asdict(triplet), ensure_ascii=False))
        for triplet, why in zip(outcome.triplets, wrong, strict=True)
        if why
    )
    return replace(outcome, triplets=kept, rejections=outcome.rejections + refused)


def make_filters(options: FilterOptions, backbone: Backbone | None = None) -> list[Filter]:
    """The filters that options ask for, the cheap ones first. `UsageError` where one lacks a backbone or a library.

    Near-duplicates come last: they are those of triplets that nothing else refused.
    """
    found: list[Filter] = []
    if options.equal:
        found.append(Each("target equals reference", _equal))
    if options.repeats:
        found.append(Each("relative caption repeats the target", _repeats))
    if options.min_words or options.max_words:
        low, high = options.min_words, options.max_words
        found.append(Each("length", lambda t: _length(t, low, high), f"length {low}..{high or ''} words"))
    if options.banned:
        phrases = read_banned(Path(options.banned))
        digest = hashlib.sha256("\n".join(phrases).encode()).hexdigest()[:12]
        found.append(Each("banned content", Banned(phrases), f"banned {options.banned} ({digest})"))
    if options.max_tokens:
        found.append(Each("too many tokens", Tokens(options.max_tokens), f"at most {options.max_tokens} tokens"))
    if options.language:
        found.append(Each("language", Language(options.language), f"language {options.language}"))
    if options.need_backbone:
        from motacli.triplets.gates import make_gates

        if backbone is None:
            raise UsageError("filters picture-min, target-min and target-max need a backbone", "give --model")
        found.extend(make_gates(options, backbone))
    if options.near_duplicates:
        from motacli.triplets.near_duplicates import NearDuplicates

        found.append(NearDuplicates(options.near_duplicates))
    return found


class Each:
    """A filter that looks at triplets one by one."""

    def __init__(self, reason: str, judge: Callable[[Triplet], str], name: str = "") -> None:
        self.reason, self._judge, self._name = reason, judge, name or reason

    def __str__(self) -> str:
        return self._name

    def check(self, candidates: Sequence[Candidate]) -> list[str]:
        """See `Filter`."""
        return [self._judge(candidate.triplet) for candidate in candidates]


def plain(text: str) -> tuple[str, ...]:
    """A text's words, without case and punctuation; vowel signs and accents are part of them."""
    known = unicodedata.normalize("NFC", text.casefold())
    return tuple("".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in known).split())


def _equal(triplet: Triplet) -> str:
    same = plain(triplet.target_caption) == plain(triplet.reference_caption)
    return "the target caption is the reference caption" if same else ""


def _repeats(triplet: Triplet) -> str:
    same = plain(triplet.relative_caption) == plain(triplet.target_caption)
    return "the relative caption is the target caption" if same else ""


def _texts(triplet: Triplet) -> dict[str, str]:
    return {"relative caption": triplet.relative_caption, "target caption": triplet.target_caption}


def _length(triplet: Triplet, low: int, high: int) -> str:
    for name, text in _texts(triplet).items():
        words = len(text.split())
        if words < low or (high and words > high):
            return f"the {name} has {words} words"
    return ""


class Banned:
    """Finds words and phrases, whole ones, whatever their case and the space between words."""

    def __init__(self, phrases: Iterable[str]) -> None:
        escaped = (r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
        ordered = sorted(escaped, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(ordered)})(?!\w)", re.IGNORECASE)

    def __call__(self, triplet: Triplet) -> str:
        for text in (triplet.reference_caption, *_texts(triplet).values()):
            if match := self._pattern.search(text):
                return f"{match.group()!r} is banned"
        return ""


def read_banned(path: Path) -> list[str]:
    """Words and phrases, one per line; blank lines and those behind ``#`` do not count."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the banned words in {path}: {error}") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise DataError(f"{path} names no banned word", "one word or phrase per line")
    return found


class Tokens:
    """Counts CLIP's tokens, start and end included, as open_clip's byte-pair encoding cuts a text."""

    def __init__(self, most: int) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self._most, self._tokenizer = most, SimpleTokenizer()

    def __call__(self, triplet: Triplet) -> str:
        for name, text in _texts(triplet).items():
            tokens = len(self._tokenizer.encode(text)) + 2
            if tokens > self._most:
                return f"the {name} has {tokens} tokens"
        return ""


class Language:
    """Finds out the language of all three texts together, single ones being too short for it.

    The choice is among ``WIDESPREAD`` languages and the one asked for, and another one has to be e^10 times as likely:
    telegraphic English passes for many a language.
    """

    MARGIN = 10.0

    WIDESPREAD = "ar bn cs da de el en es fa fi fr he hi hu id it ja ko nl no pl pt ro ru sv th tr uk vi zh"

    def __init__(self, code: str) -> None:
        langid = needed("py3langid.langid", "filters", "the language filter")
        self._code, self._identifier = code, langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
        try:
            self._identifier.set_languages([*self.WIDESPREAD.split(), code])
        except ValueError as error:
            raise UsageError(f"unknown language {code!r}", "give a code such as en, de or fr") from error

    def __call__(self, triplet: Triplet) -> str:
        text = " ".join((triplet.reference_caption, *_texts(triplet).values()))
        scores = dict(self._identifier.rank(text))
        found = max(scores, key=lambda code: scores[code])
        return f"looks like {found}" if scores[found] - scores[self._code] > self.MARGIN else ""
