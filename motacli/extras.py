"""Libraries that not everybody needs, and that an extra of the package brings."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from motacli.errors import UsageError


def needed(module: str, extra: str, what: str) -> Any:
    """The module; `UsageError` that says what needs it, and how to install it where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        reason = "" if isinstance(error, ModuleNotFoundError) else f", which does not start: {error}"
        raise UsageError(f"{what} needs {library}{reason}", f"pip install 'mota[{extra}]'") from error
