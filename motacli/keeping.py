"""Whether a part keeps its kind's contract, as far as that can be seen without running it: what it has to have."""

from __future__ import annotations

import inspect
from typing import Any

from motacli import contracts

CONTRACTS: dict[str, Any] = {
    "backbones": contracts.Backbone,
    "inversions": contracts.Inversion,
    "adapters": contracts.Adapter,
    "benchmarks": contracts.Benchmark,
    "generators": contracts.TripletGenerator,
    "llms": contracts.LLMClient,
    "stores": contracts.IndexStore,
}
"""What each kind of component gives, by the names of `motacli.components.KINDS`."""
_NONE = object()


def members(contract: Any) -> list[str]:
    """What a Protocol asks for: its attributes and methods, in the order of its text."""
    methods = [name for name in vars(contract) if name == "__call__" or not name.startswith("_")]
    return list(dict.fromkeys([*inspect.get_annotations(contract), *methods]))


def missing_members(contract: Any, value: object) -> list[str]:
    """What ``value`` does not have of what ``contract`` asks for."""
    return [name for name in members(contract) if not _has(value, name)]


def _has(value: object, name: str) -> bool:
    # Looked up without running properties, which may need what is not there yet, as a generator's model.
    return inspect.getattr_static(value, name, _NONE) is not _NONE or hasattr(value, name)
