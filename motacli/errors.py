"""The errors people see. Raise one of these; `motacli.cli.main` prints it in one line and picks the exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from motacli.remote.redaction import without_secrets


class MotaError(Exception):
    """Something failed: ``message`` says what and where, ``hint`` what to do about it. Exit code 1.

    What is secret in URLs is left out of both.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(MotaError):
    """The command or its configuration is wrong. Exit code 2."""

    exit_code = 2


class DataError(MotaError):
    """A file of the user's is missing or malformed; the message names file, line or key."""


class UnknownNameError(UsageError):
    """A name that nothing goes by, with the closest known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}", did_you_mean(name, known))


def listed(names: Sequence[str], shown: int = 3) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + more


def first_line(error: BaseException) -> str:
    """What an error says first, or else its kind: those of libraries may go on for a page."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name closest to ``name``, as a question; the list of them where none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"
