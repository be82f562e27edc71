"""Texts as analyses see them: words, and a form in which differences of case and punctuation are gone."""

from __future__ import annotations

import re
from unicodedata import normalize

_WORD = re.compile(r"\w+(?:['’-]\w+)*")  # noqa: RUF001 - captions have typographic apostrophes


def words(text: str) -> list[str]:
    """The words of a text: case-folded runs of letters and digits, joined by apostrophes and hyphens.

    Scripts written without spaces give one word per run.
    """
    return _WORD.findall(normalize("NFKC", text).casefold())


def normalised(text: str, found: list[str] | None = None) -> str:
    """The words of a text with single spaces between; the text itself where it has none.

    ``found`` are its `words`, where they are known already.
    """
    return " ".join(words(text) if found is None else found) or text.strip()
