"""A run that several processes work on, and go on with when they are started again."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from motacli.errors import MotaError
from motacli.processes.launch import agent
from motacli.processes.world import World
from motacli.runs import WORK, RunDir, partial_path

LAUNCH = "launch.json"
"""The file in a run's folder of work that says whose processes have begun it."""


@contextmanager
def shared_run(out: Path, resume: bool, world: World) -> Iterator[RunDir]:
    """The run ``out``, which the first process makes and completes, as `RunDir.create` describes.

    Processes that an agent (``torchrun``) starts again after one of them ended go on with what they have begun, without
    ``resume``; so they do with other processes beside them. `MotaError` where a process does not see the run's folder.
    """
    agents = sorted(set(world.everyones(agent())) - {""})
    if not world.first:
        world.wait()
        yield _seen(out)
        world.wait()
        return
    with RunDir.create(out, resume=resume or _was_begun_by(agents, out)) as run, _noted(run, agents):
        world.wait()
        yield run
        world.wait()  # the others are through with it


def _was_begun_by(agents: Sequence[str], out: Path) -> bool:
    try:
        noted = json.loads((partial_path(out) / WORK / LAUNCH).read_text("utf-8"))
    except (OSError, ValueError):
        return False  # nobody's, or that of processes that nobody starts again
    return not set(noted).isdisjoint(agents)


@contextmanager
def _noted(run: RunDir, agents: Sequence[str]) -> Iterator[None]:
    """Note who works on the run; nothing is left of it where the work ends before it has begun."""
    folder = run.work / WORK
    path = run.file(f"{WORK}/{LAUNCH}") if agents else None
    if path is not None:
        run.write_json(f"{WORK}/{LAUNCH}", agents)
    try:
        yield
    except BaseException:
        if path is not None and [each.name for each in folder.iterdir()] == [LAUNCH]:
            path.unlink()
            folder.rmdir()
        raise


def _seen(out: Path) -> RunDir:
    run = RunDir(out, partial_path(out))
    if not run.work.is_dir():
        raise MotaError(
            f"{socket.gethostname()} does not see {run.work}", "--out has to be on a drive that all machines share"
        )
    return run
