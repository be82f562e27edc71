"""Inversion networks: image features to pseudo-words. `load_inversion` reads one from any file that holds one.

Importing this package imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motacli.inversions.loading import load_inversion

__all__ = ["load_inversion"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from motacli.inversions import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
