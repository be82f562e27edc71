"""Commands that several processes run together, as ``torchrun`` starts them, speak with one voice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from motacli.commands.session import Session

if TYPE_CHECKING:
    from motacli.processes.world import World
    from motacli.runs import RunDir


@contextmanager
def together(current: Session, out: Path, resume: bool, device: str) -> Iterator[tuple[World, RunDir]]:
    """The processes that work on the run ``out``, and the run. ``device`` is this process's own.

    An error is reported by the process that it meets first; the others, which it keeps from going on, end silently.
    """
    from motacli.processes.shared_runs import shared_run
    from motacli.processes.world import joined_world

    with joined_world(device) as world, _one_report(current, world), shared_run(out, resume, world) as run:
        yield world, run


@contextmanager
def _one_report(current: Session, world: World) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if not world.may_report():
            raise SystemExit(getattr(error, "exit_code", 1)) from None
        current.console.muted = False
        raise
