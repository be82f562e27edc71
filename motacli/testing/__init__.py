"""Kits that check a component's behaviour against its contract: what plugin authors run, and what we run on our own.

Each takes a component as its hook wants it, needs neither network nor GPU nor pytest, takes seconds, and raises one
`ContractError` that lists every line of the contract that is broken. Otherwise a `Report` says what was checked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from motacli.testing.findings import Breach, ContractError, Report

if TYPE_CHECKING:
    from motacli.testing.adapter import check_adapter
    from motacli.testing.backbone import check_backbone
    from motacli.testing.benchmark import check_benchmark
    from motacli.testing.generator import check_triplet_generator
    from motacli.testing.index_store import check_index_store
    from motacli.testing.inversion import check_inversion
    from motacli.testing.llm_client import check_llm_client

_KITS = {
    "check_adapter": "adapter",
    "check_backbone": "backbone",
    "check_benchmark": "benchmark",
    "check_index_store": "index_store",
    "check_inversion": "inversion",
    "check_llm_client": "llm_client",
    "check_triplet_generator": "generator",
}
__all__ = [
    "Breach",
    "ContractError",
    "Report",
    "check_adapter",
    "check_backbone",
    "check_benchmark",
    "check_index_store",
    "check_inversion",
    "check_llm_client",
    "check_triplet_generator",
]


def __getattr__(name: str) -> Any:
    if name in _KITS:  # they import torch, which takes seconds
        return getattr(import_module(f"{__name__}.{_KITS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
