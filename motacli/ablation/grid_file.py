"""Grids on disk: a TOML file, read alike whether it is the user's or one of the presets that come with the package.

```toml
title = "Components"              # all keys are optional
reference = "full"                # the variant that differences are taken to; else the first one
adapter = "mota"                  # of variants that name none
train = { steps = 500 }           # training options of all variants

[[variant]]
name = "static MDM"
options = { mdm = "static" }      # the adapter's, as --option of `mota train`
train = { beta = 0 }              # this one's training options
corrupt = 0.1                     # share of the triplets that is made wrong
domains = ["looks", "scenes"]     # which triplets it learns from ...
mix = [0.5, 0.5]                  # ... and each domain's share of every batch; equal by default

[domain.looks]                    # some of the triplets: by type, by file, or both
types = ["colour", "size"]
file = "fashion.jsonl"

[[vary]]                          # every combination is a variant
experts = [1, 2, 4]
"train.beta" = [0, 1]
corrupt = [0, 0.1]
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from motacli.ablation.variant import Domain
from motacli.config import parse_options, read_config
from motacli.errors import UnknownNameError, UsageError

FULL = "full"
"""What the method with all its defaults is called where a grid only varies something."""


@dataclass(frozen=True)
class VariantTable:
    """A ``[[variant]]`` as it is written; ``where`` tells messages about it where it stands."""

    name: str
    adapter: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    corrupt: float = 0.0
    domains: tuple[str, ...] = ()
    mix: tuple[float, ...] = ()


@dataclass(frozen=True)
class GridTable:
    """A grid as it is written, its tables not yet looked into."""

    title: str = ""
    reference: str = ""
    adapter: str = "mota"
    train: dict[str, Any] = field(default_factory=dict)
    domain: dict[str, dict[str, Any]] = field(default_factory=dict)
    variant: tuple[dict[str, Any], ...] = ()
    vary: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class DomainTable:
    """A ``[domain.NAME]``."""

    types: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True)
class GridSpec:
    """A grid whose keys are known, and whose values are not checked yet. ``where`` begins messages about it."""

    name: str
    where: str
    title: str = ""
    reference: str = ""
    adapter: str = "mota"
    train: Mapping[str, Any] = field(default_factory=dict)
    domains: Mapping[str, Domain] = field(default_factory=dict)
    variants: Sequence[VariantTable] = ()
    vary: Sequence[Mapping[str, Sequence[Any]]] = ()


def preset_names() -> list[str]:
    """The presets that come with the package."""
    folder = files("motacli.ablation") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_preset(name: str) -> GridSpec:
    """A preset by name; `UnknownNameError` for one that there is not."""
    if name not in preset_names():
        raise UnknownNameError("preset", name, preset_names())
    return read_grid(Path(str(files("motacli.ablation") / "presets" / f"{name}.toml")))


def read_grid(path: Path) -> GridSpec:
    """A grid from its file; `UsageError` that names file, table and key for what is not known there."""
    document = read_config(path)
    if isinstance(document.get("vary"), Mapping):
        document = {**document, "vary": [document["vary"]]}
    table = parse_options(GridTable, document, str(path))
    variants = [_variant(values, path, number) for number, values in enumerate(table.variant, 1)]
    if not variants and not table.vary:
        raise UsageError(f"{path} describes no variants", "add a [[variant]] or a [[vary]]")
    return GridSpec(
        name=path.stem,
        where=str(path),
        title=table.title or path.stem,
        reference=table.reference,
        adapter=table.adapter,
        train=table.train,
        domains={name: _domain(name, values, path) for name, values in table.domain.items()},
        variants=variants,
        vary=[_axes(values, f"{path}, [[vary]]") for values in table.vary],
    )


def _variant(values: Mapping[str, Any], path: Path, number: int) -> VariantTable:
    name = values.get("name")
    said = f"{name!r}" if isinstance(name, str) else f"number {number}"
    return parse_options(VariantTable, values, f"{path}, [[variant]] {said}")


def _domain(name: str, values: Mapping[str, Any], path: Path) -> Domain:
    table = parse_options(DomainTable, values, f"{path}, [domain.{name}]")
    return Domain(name, table.types, table.file)


def _axes(values: Mapping[str, Any], where: str) -> dict[str, list[Any]]:
    """The varied keys; ``train.beta`` may be a quoted key or a dotted one, which TOML makes a table of."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = value.items() if key == "train" and isinstance(value, Mapping) else None
        flat |= {key: value} if inner is None else {f"train.{name}": item for name, item in inner}
    for key, value in flat.items():
        if not isinstance(value, list) or not value:
            raise UsageError(f"{where}: {key} must be a list of values, not {value!r}", "as in experts = [1, 2, 4]")
    return flat
