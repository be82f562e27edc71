"""``--option key=value``: options of a component, whose names only the component knows."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from motacli.errors import UsageError


def read_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """``["experts=4", "mdm=static"]`` as a mapping for `parse_options`.

    A value is read as TOML and is plain text where that fails: ``true``, ``0.5``, ``[1, 2]``, ``static``, ``"4"``. A
    key with a dot, as in ``oti.steps=9``, is an option within the table ``oti``.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        key = name.strip().replace("-", "_")
        if not equals or not key:
            raise UsageError(f"{text!r} sets no option", "write key=value")
        *tables, last = key.split(".")
        place = values
        for table in tables:
            place = place.setdefault(table, {})
            if not isinstance(place, dict):
                raise UsageError(f"option {table!r} is given both as a whole and in parts")
        if last in place:
            raise UsageError(f"option {key!r} is given twice")
        place[last] = _value(value.strip())
    return values


def write_assignments(values: Mapping[str, Any]) -> list[str]:
    """The texts that `read_assignments` reads as ``values``; those without a value are left out."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items() if value is not None]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
