"""Libraries that only some kinds of data need."""

from __future__ import annotations

import importlib
from typing import Any

from motacli.errors import UsageError


def needed(module: str, extra: str, what: str) -> Any:
    """The module; `UsageError` with the command that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        reason = "" if isinstance(error, ModuleNotFoundError) else f", which does not start: {error}"
        raise UsageError(f"{what} is read with {library}{reason}", f"pip install 'mota[{extra}]'") from error
