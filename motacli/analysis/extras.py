"""Libraries that only some analyses need: the extra ``analysis``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from motacli.errors import UsageError

INSTALL = "pip install 'mota[analysis]'"


def optional(module: str, what: str) -> Any:
    """The module; `UsageError` that says what needs it and how to install it where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"{what} needs the package {module.partition('.')[0]}", INSTALL) from error
