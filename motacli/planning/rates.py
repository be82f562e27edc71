"""Rates: what a machine does in a second, what a row takes in bytes. Each says what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from motacli.errors import UsageError
from motacli.planning.rate_keys import KEYS

GIVEN = "given"
"""What a rate was measured on that a person wrote without saying so."""


@dataclass(frozen=True)
class Rate:
    """A number in the unit that its key names.

    ``low`` and ``high`` are the least and the most of the runs it is the median of. ``on`` names one of the conditions
    that it was measured under, or says in words where it is from.
    """

    value: float
    low: float | None = None
    high: float | None = None
    on: str = GIVEN

    @property
    def spread(self) -> float | None:
        """How far apart the runs were, as a share of the value; None where that is not known."""
        if self.low is None or self.high is None or not self.value:
            return None
        return (self.high - self.low) / self.value


@dataclass(frozen=True)
class Rates:
    """Rates by key, such as ``encode.pictures_per_second_per_gpu``, and the conditions they were measured under.

    ``where`` is the file they are from, for messages.
    """

    values: Mapping[str, Rate]
    conditions: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    where: str = "the rates"

    def need(self, key: str, stage: str) -> float:
        """The value of a key; `UsageError` that names the key and the stage that needs it, where it is missing."""
        assert key in KEYS, key
        found = self.values.get(key)
        if found is None:
            table, _, name = key.partition(".")
            raise UsageError(
                f"{self.where} has no {key}, which the stage {stage!r} needs: {KEYS[key].meaning}",
                f"`mota plan measure` measures it; by hand: [{table}] {name} = NUMBER",
            )
        return found.value

    def optional(self, key: str) -> float | None:
        """The value of a key, None where it is missing."""
        assert key in KEYS, key
        found = self.values.get(key)
        return None if found is None else found.value
