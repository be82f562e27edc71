"""Puts edits into the words of a relative caption."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from motacli.triplets.editing.edit import Edit
from motacli.triplets.editing.vocabulary import Vocabulary

SLOT = re.compile(r"{(\w+)}")


def asked(edit: Edit, words: Vocabulary, rng: Random) -> str:
    """The edit as a request: ``make the car blue``."""
    return _filled(words.wording[edit.wording]["do"], edit, rng)


def said(edit: Edit, words: Vocabulary, rng: Random) -> str:
    """The edit in either form."""
    forms = words.wording[edit.wording]
    return _filled(forms[rng.choice(("do", "say"))], edit, rng)


def joined(edits: Sequence[Edit], words: Vocabulary, rng: Random) -> str:
    """Several edits in one request."""
    return " and ".join(asked(edit, words, rng) for edit in edits)


def restated(edit: Edit, words: Vocabulary, rng: Random) -> str:
    """One edit said twice."""
    first = asked(edit, words, rng)
    second = _filled(words.wording[edit.wording]["say"], edit, rng)
    new = second.removeprefix("now ").removeprefix("this time ")
    return first if new in first else f"{first}; {second}"


def with_subject(edit: Edit, subject: str, words: Vocabulary, rng: Random) -> str:
    """The edit with what stays."""
    form = rng.choice(words.wording["subject"]["forms"])
    return form.format(subject=subject, do=asked(edit, words, rng))


def with_context(relative: str, context: str, words: Vocabulary, rng: Random) -> str:
    """A relative caption that mentions a piece of the target's context as well."""
    return rng.choice(words.wording["also"]["forms"]).format(edit=relative, context=context)


def _filled(templates: Sequence[str], edit: Edit, rng: Random) -> str:
    usable = [t for t in templates if all(edit.words.get(slot) for slot in SLOT.findall(t))]
    return rng.choice(usable).format_map(edit.words)
