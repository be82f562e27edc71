"""What a language model answered, read with patience and believed with none.

Servers may ignore the format they were asked for: prose around the JSON, code fences, a bare list, or one triplet alone
are all read. What is read must then be what was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from motacli.llms.errors import LLMError
from motacli.triplets.prompts import TYPES

LONGEST_TEXT = 1000
"""Characters of a caption; more is no caption."""
OTHER = "other"
_THOUGHT = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_START = re.compile(r"[{\[]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_STARTS = 200
"""How many brackets of an answer are tried as the start of JSON."""
_SCANNED = 1_000_000
"""How many characters are read in vain behind them."""


@dataclass(frozen=True)
class Written:
    """One triplet as a model wrote it; ``modification_type`` is one of `TYPES`, or ``other``."""

    relative_caption: str
    target_caption: str
    modification_type: str


@dataclass(frozen=True)
class Answer:
    """A model's triplets, and its own caption of the reference picture where it was asked for one."""

    triplets: tuple[Written, ...]
    reference_caption: str = ""


def read_answer(text: str, count: int, recaption: bool = False) -> Answer:
    """The first thing in an answer that is what was asked for; at most ``count`` triplets of it.

    What a model thinks before it answers does not count. Raises `LLMError` with the remedy ``ask again``, or ``give
    up`` where the model says that there is nothing to write.
    """
    found: LLMError | None = None
    for value in _values(text, _end_of_thinking(text)):
        try:
            return _answer(value, count, recaption)
        except LLMError as error:
            if found is None or error.remedy == "give up":
                found = error
    raise _with_raw(found or LLMError("not JSON", "no JSON in the answer", remedy="ask again"), text)


def _end_of_thinking(text: str) -> int:
    """Where the answer begins; templates may put the tag that opens the thinking into the prompt."""
    place = 0
    for tag in _THOUGHT.finditer(text):
        place = tag.end()
    return place


def _values(text: str, place: int) -> Iterator[Any]:
    """Every outermost JSON object or list in a text from ``place`` on, inside of what is cut off too."""
    decoder = json.JSONDecoder(strict=False)
    scanned = 0
    for _ in range(_STARTS):
        match = _START.search(text, place)
        if match is None or scanned > _SCANNED:
            return
        try:
            value, place = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError) as error:
            place = match.end()
            scanned += getattr(error, "pos", match.end()) - match.start()
            continue
        yield value


def _answer(value: Any, count: int, recaption: bool) -> Answer:
    items = value.get("triplets", value) if isinstance(value, Mapping) else value
    items = [items] if isinstance(items, Mapping) else items
    if not isinstance(items, list):
        raise LLMError("wrong schema", "'triplets' is no list", remedy="ask again")
    if not items:
        raise LLMError("model declined", "the model wrote no triplet", remedy="give up")
    reference = ""
    if recaption:
        reference = _text(value if isinstance(value, Mapping) else {}, "reference_caption")
    return Answer(tuple(map(_written, items[:count])), reference)


def _written(item: Any) -> Written:
    if not isinstance(item, Mapping):
        raise LLMError("wrong schema", "a triplet is no object", remedy="ask again")
    return Written(_text(item, "relative_caption"), _text(item, "target_caption"), _type(item.get("modification_type")))


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value.strip():
        raise LLMError("wrong schema", f"{name!r} is missing or no text", remedy="ask again")
    text = " ".join(value.split())
    if len(text) > LONGEST_TEXT:
        raise LLMError("wrong schema", f"{name!r} has {len(text)} characters", remedy="ask again")
    if _UNPRINTABLE.search(text):
        raise LLMError("wrong schema", f"{name!r} holds control characters", remedy="ask again")
    if not any(map(str.isalnum, text)):  # such as the "..." of the form that was asked for
        raise LLMError("wrong schema", f"{name!r} holds no word", remedy="ask again")
    return text


def _type(value: Any) -> str:
    """A type's name however it is written; a model's own invention is ``other``, for the texts may be good."""
    name = re.sub(r"[^a-z]+", " ", value.lower()).strip() if isinstance(value, str) else ""
    return next((known for known in TYPES if known in name), OTHER)


def _with_raw(error: LLMError, text: str) -> LLMError:
    return LLMError(error.reason, error.detail, remedy=error.remedy, raw=text)
