"""Benchmarks of mota's own work, each case beside a straightforward implementation of the same.

A bench is a module with ``CASES``, a mapping of names to what `motacli.bench.harness` calls a `Case`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from motacli.errors import UnknownNameError

if TYPE_CHECKING:
    from motacli.bench.harness import Case

BENCHES = {
    "eval": "motacli.bench.evaluation",
    "train-inversion": "motacli.bench.inversion",
    "gen-triplets": "motacli.bench.triplets",
    "adapter": "motacli.bench.adapter",
    "train": "motacli.bench.adapter_training",
    "cache": "motacli.bench.cache",
    "search": "motacli.bench.search",
    "serve": "motacli.bench.serving",
}
"""Each bench and the module of its cases, imported when it is asked for."""


def find_cases(bench: str, names: Sequence[str] = ()) -> list[Case]:
    """The named cases of a bench, in the bench's own order; all of them without names."""
    if bench not in BENCHES:
        raise UnknownNameError("bench", bench, BENCHES)
    cases: dict[str, Case] = import_module(BENCHES[bench]).CASES
    for name in names:
        if name not in cases:
            raise UnknownNameError(f"case of {bench}", name, cases)
    return [case for name, case in cases.items() if not names or name in names]
