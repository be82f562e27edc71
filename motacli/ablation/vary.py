"""Every combination of some values: the cells of a sweep, what each is called, and what a line is drawn over."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from motacli.ablation.grid_file import GridSpec, VariantTable
from motacli.assignments import read_assignments
from motacli.errors import UsageError

TRAIN = "train."
"""What the names of training options begin with."""
PLAIN = ("adapter", "corrupt")
"""Keys that are neither options of the adapter nor of the training."""


@dataclass(frozen=True)
class Cell:
    """One combination, as the variant that it stands for; ``values`` are those of the keys that vary.

    ``full_name`` names the keys with a single value too.
    """

    variant: VariantTable
    values: Mapping[str, Any]
    full_name: str


def cells(axes: Mapping[str, Sequence[Any]]) -> list[Cell]:
    """All combinations, the last key changing fastest; keys with a single value are not part of a name."""
    shown = [key for key, values in axes.items() if len(values) > 1] or list(axes)
    found = []
    for combination in product(*axes.values()):
        chosen = dict(zip(axes, combination, strict=True))
        values = {key: chosen[key] for key in shown}
        found.append(Cell(_variant(cell_name(values), chosen), values, cell_name(chosen)))
    return found


def cell_name(values: Mapping[str, Any]) -> str:
    """``experts=4, beta=0``."""
    return ", ".join(f"{key_label(key)}={_label(value)}" for key, value in values.items())


def key_label(key: str) -> str:
    """What a key is called in tables and figures."""
    return key.removeprefix(TRAIN)


def line_key(axes: Mapping[str, Sequence[Any]]) -> str | None:
    """The key that a line is drawn over: the first whose several values are numbers, None where there is none."""
    return next((key for key, values in axes.items() if len(values) > 1 and all(map(_is_number, values))), None)


def vary_spec(texts: Sequence[str], adapter: str = "mota") -> GridSpec:
    """The grid of ``--vary experts=1,2,4 --vary train.beta=0,1``."""
    axes: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key or not values.strip():
            raise UsageError(f"--vary {text!r} names no values", "as in --vary experts=1,2,4")
        if key in axes:
            raise UsageError(f"--vary names {key!r} twice", "give all values at once, as in --vary experts=1,2,4")
        axes[key] = _values(values)
    name = "vary-" + "-".join(key_label(key) for key in axes)
    return GridSpec(name, "--vary", title=", ".join(map(key_label, axes)), adapter=adapter, vary=[axes])


def _variant(name: str, values: Mapping[str, Any]) -> VariantTable:
    options = {key: v for key, v in values.items() if not key.startswith(TRAIN) and key not in PLAIN}
    train = {key.removeprefix(TRAIN): v for key, v in values.items() if key.startswith(TRAIN)}
    more = {key: v for key, v in values.items() if key in PLAIN}
    return VariantTable(name, options=options, train=train, **more)


def _values(text: str) -> list[Any]:
    """``1,2,4``, ``none,static`` or ``["q"],["q", "v"]``: as TOML, or else each as an option's value is read."""
    try:
        found: list[Any] = tomllib.loads(f"values = [{text}]")["values"]
    except tomllib.TOMLDecodeError:
        found = [read_assignments([f"value={part}"])["value"] for part in text.split(",")]
    return found


def _label(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, float, int)):
        return json.dumps(value)
    return value if isinstance(value, str) else f"{value:g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
