"""Recipes: options of inversion networks in a TOML file, a table for each, laid over the authors' defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motacli.config import read_config
from motacli.contracts import Backbone
from motacli.errors import UnknownNameError, UsageError

FOLDER = Path(__file__).parent / "recipes"
AUTHORS = "authors"
"""The recipe that changes nothing: an inversion's own defaults."""


def recipe_names() -> tuple[str, ...]:
    """The recipes that come with mota."""
    return (AUTHORS, *sorted(file.stem for file in FOLDER.glob("*.toml")))


def read_recipe(name: str | None, inversion: str, backbone: Backbone) -> dict[str, Any]:
    """What a recipe says about an inversion, for `motacli.config.parse_options`.

    ``name`` is a recipe's name, a ``.toml`` file, or None for the one that the backbone asks for by an attribute
    ``recipe`` (the tiny CLIP's), the authors' otherwise. Raises `UnknownNameError`; `UsageError` for a file that is no
    recipe.
    """
    chosen = getattr(backbone, "recipe", AUTHORS) if name is None else name
    if chosen == AUTHORS:
        return {}
    if not chosen.endswith(".toml") and chosen not in recipe_names():
        raise UnknownNameError("recipe", chosen, recipe_names())
    path = Path(chosen) if chosen.endswith(".toml") else FOLDER / f"{chosen}.toml"
    tables = read_config(path)
    table = tables.get(inversion, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [{inversion}] must be a table of options")
    return table


def overlaid(recipe: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's options with others on top, also inside of nested tables."""
    merged = dict(recipe)
    for key, value in values.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = overlaid(merged[key], value) if nested else value
    return merged
