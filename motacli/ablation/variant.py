"""What is compared: an adapter, how it is trained, and which triplets it learns from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from motacli.adapters.options import TrainOptions
from motacli.contracts import Triplet
from motacli.errors import UsageError
from motacli.runs import jsonable

BASE = "base"
"""The row of the inversion network alone."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Some of the triplets: those of the modification ``types``, and of the ``file`` of that name, where given."""

    name: str
    types: tuple[str, ...] = ()
    file: str = ""

    def holds(self, triplet: Triplet, files: tuple[str, ...]) -> bool:
        """Whether a triplet of a file that goes by any of the names ``files`` is one of them."""
        right_type = not self.types or triplet.modification_type in self.types
        return right_type and (not self.file or self.file in files)


@dataclass(frozen=True, slots=True)
class TripletChoice:
    """Which triplets are learned from: all of them, or as many as the smallest domain of ``among`` has.

    ``corrupt`` is the share that is made wrong first, see `motacli.analysis.corruption`. Of several ``domains`` each
    has its share ``mix`` of the triplets and of every batch. [ours]
    """

    corrupt: float = 0.0
    domains: tuple[Domain, ...] = ()
    mix: tuple[float, ...] = ()
    among: tuple[Domain, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.corrupt <= 1:
            raise UsageError(f"corrupt = {self.corrupt:g} is not between 0 and 1", "corrupt one fifth with 0.2")
        if self.mix and len(self.mix) != len(self.domains):
            raise UsageError(f"{len(self.mix)} shares in mix for {len(self.domains)} domains", "give one for each")
        if self.mix and (min(self.mix) <= 0 or abs(sum(self.mix) - 1) > 1e-6):
            raise UsageError("the shares in mix must be above 0 and add up to 1", "as in mix = [0.5, 0.5]")

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of each domain; equal ones by default."""
        return self.mix or tuple(1 / len(self.domains) for _ in self.domains)


@dataclass(frozen=True)
class Variant:
    """A row of the table. ``options`` are the adapter's own; the seed in ``training`` is that of each job."""

    name: str
    adapter: str
    options: Any
    training: TrainOptions
    triplets: TripletChoice = TripletChoice()

    def settings(self) -> dict[str, Any]:
        """All that makes it what it is, without its name and seed, as JSON can hold it."""
        training = asdict(replace(self.training, seed=0))
        training.pop("seed")
        parts = {"adapter": self.adapter, "options": asdict(self.options), "training": training}
        found: dict[str, Any] = jsonable({**parts, "triplets": asdict(self.triplets)})
        return found


def digest_of(value: object) -> str:
    """SHA-256 of a value's JSON form."""
    return hashlib.sha256(json.dumps(jsonable(value), sort_keys=True).encode()).hexdigest()
