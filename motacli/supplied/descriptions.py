"""Descriptions of the targets, written by a language model, as training-free methods such as CIReVL query with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from motacli.contracts import EvalUnit
from motacli.errors import DataError
from motacli.supplied.files import answers_by_unit

HINT = "expected {query id: target description}, or that for each unit"


def read_descriptions(path: Path, units: Sequence[EvalUnit]) -> dict[str, Mapping[str, str]]:
    """Unit to query id to description. Raises `DataError` where a query has none, or one that is empty or no text."""
    answers = answers_by_unit(path, units, HINT)
    for unit, texts in answers.items():
        for id, text in texts.items():
            if not isinstance(text, str) or not text.strip():
                raise DataError(f"{path}: query {id!r} of {unit}: the description is {text!r}", HINT)
    return answers
