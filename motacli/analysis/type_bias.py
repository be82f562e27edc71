"""Whether a set of triplets asks for other kinds of change than it should: shares per type against a reference."""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motacli.errors import DataError
from motacli.runs import explained
from motacli.triplets.schema import iter_triplets

_HINT = "a JSON or TOML file of {type: share}, or a triplets file in JSONL"


@dataclass(frozen=True, slots=True)
class TypeDifference:
    """A type's share here and in the reference, in 0..1, and how much more there is of it here."""

    type: str
    share: float
    reference: float
    difference: float


@dataclass(frozen=True, slots=True)
class TypeBias:
    """Distances from a reference distribution of types, 0 where there is none and 1 where no type is shared.

    ``types`` are in order of their differences, the largest surplus first.
    """

    total_variation: float
    jensen_shannon: float
    types: tuple[TypeDifference, ...]


def type_bias(counts: Mapping[str, float], reference: Mapping[str, float]) -> TypeBias:
    """The bias of counts per type against reference shares or counts; both are brought to a sum of one."""
    ours, theirs = _shares(counts), _shares(reference)
    types = sorted({*ours, *theirs})
    p, q = [ours.get(name, 0.0) for name in types], [theirs.get(name, 0.0) for name in types]
    rows = [TypeDifference(name, a, b, a - b) for name, a, b in zip(types, p, q, strict=True)]
    rows.sort(key=lambda row: (-row.difference, row.type))
    return TypeBias(total_variation(p, q), jensen_shannon(p, q), tuple(rows))


def total_variation(p: list[float], q: list[float]) -> float:
    """Half the sum of absolute differences: the share that would have to change its type. In 0..1."""
    return sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def jensen_shannon(p: list[float], q: list[float]) -> float:
    """Jensen-Shannon divergence in bits, in 0..1: ``(KL(p, m) + KL(q, m)) / 2`` with ``m = (p + q) / 2``.

    Lin, Divergence measures based on the Shannon entropy, IEEE Transactions on Information Theory 37(1), 1991.
    """
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return max(0.0, (_divergence(p, middle) + _divergence(q, middle)) / 2)


def _divergence(p: list[float], q: list[float]) -> float:
    return sum(a * math.log2(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def read_reference(path: Path) -> dict[str, float]:
    """Shares or counts per type: a JSON or TOML file that maps types to numbers, or a triplets file, which is counted.

    Raises `DataError` for anything else.
    """
    if path.suffix.lower() not in (".json", ".toml"):
        return dict(Counter(triplet.modification_type for triplet in iter_triplets(path)))
    document = _document(path)
    for name, value in document.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise DataError(f"{path}: the share of {name!r} is {value!r}, not a number from zero up", _HINT)
    if sum(document.values()) <= 0:
        raise DataError(f"{path}: the shares sum up to nothing", _HINT)
    return {name: float(value) for name, value in document.items()}


def _document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"no such reference: {path}", _HINT)
    try:
        with explained(path):
            text = path.read_text("utf-8-sig")
        document = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except ValueError as error:  # both parsers and the decoder derive their errors from it
        raise DataError(f"{path} is not valid {path.suffix[1:].upper()}: {error}", _HINT) from error
    if not isinstance(document, dict):
        raise DataError(f"{path} holds no table of types", _HINT)
    return document


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: value / total for name, value in counts.items()}
