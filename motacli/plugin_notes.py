"""What is worth knowing about a plugin that works: which hook calls took how long, what it imported, who clashes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from motacli.components import Component, one_of

SLOW = 0.5
"""Seconds of loading from which on a plugin is called slow: every command waits for them, ``mota --help`` too."""
HEAVY = ("torch", "open_clip", "torchvision", "transformers", "h5py")
"""Modules that take so long to import that only commands which need them should."""


@dataclass(frozen=True, slots=True)
class HookCall:
    """One line of ``mota plugins --trace``: a hook that was called, or ``import``; ``outcome`` is ok or an error."""

    plugin: str
    call: str
    milliseconds: float
    outcome: str

    @property
    def seconds(self) -> float:
        """The same time in seconds."""
        return self.milliseconds / 1000


@dataclass(slots=True)
class HookCalls:
    """A record of calls, in their order."""

    made: list[HookCall] = field(default_factory=list)

    @contextmanager
    def timed(self, plugin: str, call: str) -> Iterator[None]:
        """Record what happens within as one call, and let its exceptions pass."""
        started, outcome = time.perf_counter(), "ok"
        try:
            yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            milliseconds = round(1000 * (time.perf_counter() - started), 3)
            self.made.append(HookCall(plugin, call, milliseconds, outcome))


def heavy_modules() -> set[str]:
    """The heavy modules that are imported by now."""
    return {name for name in HEAVY if name in sys.modules}


def loading_notes(seconds: float, imported: Iterable[str]) -> tuple[str, ...]:
    """What to say about loading a plugin; of several that import the same heavy module, the first is told."""
    notes = []
    if names := sorted(imported):
        notes.append(f"imports {', '.join(names)} when it is loaded, which every command waits for")
    if seconds >= SLOW:
        notes.append(f"took {seconds:.1f} s to load")
    return tuple(notes)


def clashes(own: Sequence[Component], others: Sequence[Component]) -> list[str]:
    """Which of a plugin's own parts others offer too, and who."""
    found = []
    for part in own:
        rivals = [other.plugin for other in others if (other.kind, other.name) == (part.kind, part.name)]
        if rivals:
            found.append(f"{one_of(part.kind)} {part.name!r} is offered by {' and '.join(map(repr, rivals))} too")
    return found
