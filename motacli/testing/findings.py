"""What a kit finds: breaches of a contract, raised together, or a report of what was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Breach:
    """One broken line of a contract: which check found it, the line, what is wrong, and what the contract says."""

    check: str
    line: str
    problem: str
    says: str

    def __str__(self) -> str:
        return f"{self.line}: {self.problem}; the contract says {self.says}"


@dataclass(frozen=True)
class Report:
    """The names of the checks that a component passed, and why others were left out."""

    component: str
    passed: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


class ContractError(AssertionError):
    """A component breaks its contract; ``breaches`` are all that were found."""

    def __init__(self, component: str, breaches: Sequence[Breach]) -> None:
        self.component, self.breaches = component, tuple(breaches)
        lines = "".join(f"\n  - {breach}" for breach in breaches)
        super().__init__(f"{component} breaks its contract, {len(breaches)} found:{lines}")
