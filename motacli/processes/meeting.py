"""How processes that have just started find each other in a store where earlier ones have left what they said.

``torchrun`` lets one store live through all its restarts, so that addresses of processes that are gone lie in it. Here
the first process makes up a name for this start and tells it to everyone who asks now; what is stored below that name
is of this start alone. [ours]
"""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from torch.distributed import PrefixStore  # type: ignore[attr-defined]

_PAUSE = 0.02
"""Seconds between two looks for who has come."""


def fresh_store(store: Any, rank: int, size: int, patience: float) -> Any:
    """The part of ``store`` that nobody has written to, alike for all; `RuntimeError` where not all come in time."""
    hall = PrefixStore("mota", store)
    return PrefixStore(_receive(hall, size, patience) if rank == 0 else _arrive(hall, rank), hall)


def _receive(hall: Any, size: int, patience: float) -> str:
    name, missing, end = uuid4().hex, set(range(1, size)), time.monotonic() + patience
    while missing:
        for rank in sorted(missing):
            if hall.check([f"{name}/{rank}"]):
                missing.discard(rank)
            elif hall.check([f"asks/{rank}"]):  # perhaps one of an earlier start, whom the answer does no harm
                hall.set(f"answers/{hall.get(f'asks/{rank}').decode()}", name)
        if missing and time.monotonic() > end:
            raise RuntimeError(f"of {size} processes number {min(missing)} has not come")
        time.sleep(_PAUSE if missing else 0)
    return name


def _arrive(hall: Any, rank: int) -> str:
    question = uuid4().hex
    hall.set(f"asks/{rank}", question)
    name: str = hall.get(f"answers/{question}").decode()
    hall.set(f"{name}/{rank}", "here")
    return name
