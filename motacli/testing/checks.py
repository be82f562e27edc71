"""How a kit is made of checks: each is about one line of a contract, and all are run before anything is raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

from motacli.components import one_line
from motacli.testing.findings import Breach, ContractError, Report

S = TypeVar("S")
Run = Callable[[S], Iterator[str]]


class LeftOut(Exception):
    """A check does not apply to this component, or cannot be made here; the text says why."""


@dataclass(frozen=True)
class Check(Generic[S]):
    """One check: ``run`` yields what is wrong with a subject.

    It is left out where one of ``after`` was not passed. Where a ``vital`` one fails no other is made.
    """

    name: str
    line: str
    says: str
    run: Run[S]
    after: tuple[str, ...]
    vital: bool


class Checks(Generic[S]):
    """Checks in the order in which they are made; those of ``parts`` first."""

    def __init__(self, *parts: Checks[S]) -> None:
        self.all: dict[str, Check[S]] = {name: check for part in parts for name, check in part.all.items()}

    def add(self, line: str, says: str, *, after: str = "", vital: bool = False) -> Callable[[Run[S]], Run[S]]:
        """Make a generator of problems a check, by its own name; ``after`` names those that it builds on."""

        def add(run: Run[S]) -> Run[S]:
            self.all[run.__name__] = Check(run.__name__, line, says, run, tuple(after.split()), vital)
            return run

        return add

    def run(self, component: str, subject: S) -> Report:
        """Make all checks. Raises `ContractError` with every breach; a `Report` where there is none."""
        breaches: list[Breach] = []
        passed: list[str] = []
        left_out: dict[str, str] = {}
        vital: list[str] = []
        for check in self.all.values():
            missing = [name for name in (*vital, *check.after) if name not in passed]
            if missing:
                left_out[check.name] = f"builds on {missing[0]}"
                continue
            vital += [check.name] if check.vital else []
            problems: list[str] = []
            try:
                problems.extend(check.run(subject))
            except LeftOut as reason:
                left_out[check.name] = str(reason)
                continue
            except Exception as error:  # whatever a component raises where its contract does not allow it
                problems.append(f"raises {one_line(error)}")
            breaches += [Breach(check.name, check.line, problem, check.says) for problem in problems]
            if not problems:
                passed.append(check.name)
        if breaches:
            raise ContractError(component, breaches)
        return Report(component, tuple(passed), left_out)


def name_of(component: object) -> str:
    """What messages call a component: its name, or else its class or function."""
    name = getattr(component, "name", None)
    return repr(name) if isinstance(name, str) else getattr(component, "__name__", type(component).__name__)


def lacking(component: object, members: str) -> Iterator[str]:
    """A problem for each of the attributes and methods that a component does not have."""
    for member in members.split():
        try:
            there = hasattr(component, member)
        except Exception as error:  # a property that fails is worse than one that is missing, and not hidden by it
            yield f"{member} raises {one_line(error)}"
            continue
        if not there:
            yield f"there is no {member}"


def named(component: object, attribute: str = "name") -> Iterator[str]:
    """A problem where an attribute is no text, or an empty one."""
    value = getattr(component, attribute, None)
    if not isinstance(value, str) or not value.strip():
        yield f"{attribute} is {value!r}, not text"


def wrong_options(kind: Any) -> Iterator[str]:
    """A problem where a class's ``Options`` cannot be made from a command line's words, or change afterwards."""
    if not isinstance(kind, type) or not is_dataclass(kind):
        yield f"Options is {kind!r}"
    elif needed := [f.name for f in fields(kind) if f.init and f.default is MISSING and f.default_factory is MISSING]:
        yield f"Options has no default for {', '.join(needed)}"
    elif not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        yield "Options is not frozen"
