"""What tests of a kit share: components that break one line, and what the kit must say of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from motacli.testing import ContractError


@dataclass(frozen=True)
class Wrong:
    """A component that breaks the line which ``check`` is about; ``said`` is what is said of it."""

    check: str
    make: Callable[..., Any]
    said: str

    def __str__(self) -> str:
        return f"{self.check}: {self.said}"


def once_each(wrong: Sequence[Wrong]) -> list[Any]:
    """Cases for tests: the first breach of each check, and the further ones where tests are thorough."""
    first = {one.check: one for one in reversed(wrong)}
    return [pytest.param(one, marks=() if first[one.check] is one else pytest.mark.thorough) for one in wrong]


def breaches(run: Callable[[], object]) -> ContractError:
    """What a kit raises."""
    with pytest.raises(ContractError) as caught:
        run()
    return caught.value


def assert_that_line(error: ContractError, wrong: Wrong, line: str) -> None:
    """The kit names the broken line, says what is wrong, and finds nothing else."""
    assert {breach.check for breach in error.breaches} == {wrong.check}, str(error)
    assert any(breach.line == line and wrong.said in breach.problem for breach in error.breaches), str(error)
    assert f"- {line}: " in str(error) and "; the contract says " in str(error)


class Like:
    """Everything that ``right`` is, but for what a subclass says."""

    def __init__(self, right: Any) -> None:
        self._right = right

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_right":
            raise AttributeError(name)
        return getattr(self._right, name)


def instead(**members: Any) -> Callable[[Any], Like]:
    """Makes of a right component one with other members: functions get it as ``self``, ``property`` works."""
    return type("Other", (Like,), members)


def without(name: str) -> Callable[[Any], Like]:
    """Makes of a right component one that lacks a member."""

    def refuse(self: Any, asked: str) -> Any:
        if asked == name:
            raise AttributeError(asked)
        return Like.__getattr__(self, asked)

    return type("Lacking", (Like,), {"__getattr__": refuse})
