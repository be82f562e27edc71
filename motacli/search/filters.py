"""What a search is restricted to: ``price<20``, ``colour=red``, ``path~summer/*``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from motacli.errors import UnknownNameError, UsageError

Operator = Literal["<=", ">=", "!=", "=", "<", ">", "~"]

BUILT_IN = ("id", "path")
"""Columns that every index has: a picture's place in the folder, by either name."""

MOST = 64
LONGEST = 1000
STARS = 6
"""How many ``*`` a pattern may have: the time to match one may multiply with each."""

_FORM = re.compile(r"\s*([^<>=!~]+?)\s*(<=|>=|!=|==|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_SQL = {"=": "IS", "!=": "IS NOT", "~": "GLOB"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a column, as it was written."""

    column: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"


def parse(text: str) -> Condition:
    """A condition: a column, one of ``<= >= < > = != ~``, a value. `UsageError` for what is none.

    Numbers are compared as numbers in columns of numbers, texts by their characters (so dates as 2024-05-31 work).
    ``~`` takes a pattern of ``*``, ``?`` and ``[...]``. A picture without a value meets no condition but ``!=``.
    """
    found = _FORM.fullmatch(text)
    if not found:
        raise UsageError(f"{text[:80]!r} is no condition", "as in price<20, colour=red, brand!=x or path~summer/*")
    column, operator, value = found.groups()
    operator = "=" if operator == "==" else operator
    _refuse_unsuitable(text, operator, value)
    return Condition(column, cast(Operator, operator), value)


def where(conditions: Sequence[Condition], columns: Mapping[str, str], names: Mapping[str, str]) -> tuple[str, list]:  # type: ignore[type-arg]
    """An SQL condition that all ``conditions`` make, and the values bound to it.

    ``columns`` gives the type of every column, ``names`` what the database calls it: only these names and our operators
    become SQL. Raises `UsageError` for unknown columns, and for values and operators that do not go with a column.
    """
    if len(conditions) > MOST:
        raise UsageError(f"{len(conditions)} conditions are more than {MOST}")
    clauses, values = ["1"], []
    for condition in conditions:
        if condition.column not in columns:
            raise UnknownNameError("column", condition.column, columns)
        values.append(_value(condition, columns[condition.column]))
        clauses.append(f"{names[condition.column]} {_SQL.get(condition.operator, condition.operator)} ?")
    return " AND ".join(clauses), values


def _value(condition: Condition, kind: str) -> str | float:
    if kind != "number":
        return condition.value
    if condition.operator == "~":
        raise UsageError(f"{condition}: {condition.column!r} holds numbers, and ~ is for texts")
    try:
        number = float(condition.value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise UsageError(f"{condition}: {condition.column!r} holds numbers, and {condition.value!r} is none")
    return number


def _refuse_unsuitable(text: str, operator: str, value: str) -> None:
    if len(text) > LONGEST:
        raise UsageError(f"a condition of {len(text)} characters is too long", f"at most {LONGEST}")
    if operator == "~" and value.count("*") > STARS:
        raise UsageError(f"{text!r} has more than {STARS} stars")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!r} is not valid text") from None
    if "\0" in text:
        raise UsageError(f"{text!r} holds a NUL character")
