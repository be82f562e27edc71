"""Rates in TOML: a table for each kind, and in it a number, or ``{ value = 1.0, low = 0.9, high = 1.1, on = "..." }``.

``[conditions.NAME]`` tables say what ``on = "NAME"`` stands for. Files are meant to be edited.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from motacli.config import refuse_mistakes
from motacli.errors import UsageError, did_you_mean
from motacli.planning.rate_keys import KEYS, TABLES
from motacli.planning.rates import Rate, Rates
from motacli.runs import explained, new_file

FORMAT = 1
_HEAD = """\
# Rates for `mota plan --rates FILE`. Units are in the names; a plain number will do: rows_per_second = 1000.
# value is the median of the runs, low and high are the least and the most, `on` says what they ran on.
"""


def read_rates(path: Path) -> Rates:
    """The rates in a file; `UsageError` that names every mistake: unknown keys, and what is no number above zero."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot read rates {path}: {error.strerror or error}", "`mota plan measure` writes"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    conditions, values, mistakes = document.pop("conditions", {}), {}, []
    if (found := document.pop("format", FORMAT)) != FORMAT:
        raise UsageError(f"{path} is of format {found}, and this version reads format {FORMAT}")
    for table, entries in document.items():
        if table not in TABLES:
            mistakes.append(f"unknown table [{table}] ({did_you_mean(table, TABLES)})")
            continue
        if not isinstance(entries, Mapping):
            mistakes.append(f"{table} must be a table of rates, not {entries!r}")
            continue
        for name, given in entries.items():
            key = f"{table}.{name}"
            if key not in KEYS:
                mistakes.append(f"unknown rate {key} ({did_you_mean(name, TABLES[table])})")
            elif isinstance(rate := _rate(key, given), str):
                mistakes.append(rate)
            else:
                values[key] = rate
    refuse_mistakes(str(path), mistakes)
    return Rates(values, conditions, str(path))


def write_rates(path: Path, rates: Rates) -> None:
    """Write a file that `read_rates` reads back; nothing is overwritten."""
    with new_file(path) as part, explained(path):
        part.write_text(rates_text(rates), "utf-8")


def rates_text(rates: Rates) -> str:
    """The contents of such a file."""
    lines = [_HEAD, f"format = {FORMAT}"]
    for table, keys in TABLES.items():
        held = [name for name in keys if f"{table}.{name}" in rates.values]
        if held:
            lines.append(f"\n[{table}]")
            lines += [f"{name} = {_inline(rates.values[f'{table}.{name}'])}" for name in held]
    for name, condition in rates.conditions.items():
        lines.append(f"\n[conditions.{_toml_key(name)}]")
        lines += [f"{_toml_key(key)} = {_toml(value)}" for key, value in condition.items()]
    return "\n".join(lines) + "\n"


def _rate(key: str, given: Any) -> Rate | str:
    """The rate, or what is wrong with it."""
    if not isinstance(given, Mapping):
        given = {"value": given}
    known = [field.name for field in fields(Rate)]
    for name in given:
        if name not in known:
            return f"{key}: unknown {name!r} ({did_you_mean(name, known)})"
    if "value" not in given:
        return f"{key} has no value"
    for name in ("value", "low", "high"):
        if name in given and (wrong := _wrong(given[name], KEYS[key].may_be_zero)):
            return f"{key} must be {wrong}, not {given[name]!r}"
    if not isinstance(given.get("on", ""), str):
        return f"{key}: on must be a text, not {given['on']!r}"
    return Rate(**given)


def _wrong(value: Any, may_be_zero: bool) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return "a number"
    if value < 0 or (value == 0 and not may_be_zero):
        return "a number that is not negative" if may_be_zero else "a number above zero"
    return ""


def _inline(rate: Rate) -> str:
    numbers = {name: getattr(rate, name) for name in ("value", "low", "high")}
    told = [f"{name} = {_number(value)}" for name, value in numbers.items() if value is not None]
    return f"{{ {', '.join([*told, f'on = {_toml(rate.on)}'])} }}"


def _number(value: float) -> str:
    return f"{value:.6g}" if value < 1e6 else f"{value:.0f}"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml_key(key)} = {_toml(item)}' for key, item in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)  # of texts, numbers and truth values JSON's spelling is TOML's


def _toml_key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)
