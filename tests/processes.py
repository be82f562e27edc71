"""Several processes for a test, as ``torchrun`` starts them, but forked, so that none has to import anything."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

Task = Callable[[], int]


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def mota(*words: object) -> Task:
    """A call of the command line."""

    def task() -> int:
        from motacli.cli import main

        return main([str(word) for word in words])

    return task


def together(folder: Path, size: int, task: Task, timeout: float = 240) -> list[Ended]:
    """What ``size`` processes say that do ``task`` together; ``folder`` is for their output."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(found.getsockname()[1]), "WORLD_SIZE": str(size)}
    folder.mkdir(parents=True, exist_ok=True)
    started = []
    for rank in range(size):
        environment = {**told, "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size)}
        names = [folder / f"{rank}.{name}" for name in ("out", "err")]
        started.append(get_context("fork").Process(target=_run, args=(task, environment, names)))
        started[-1].start()
    ended = []
    for rank, process in enumerate(started):
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
        ended.append(
            Ended(process.exitcode or 0, *((folder / f"{rank}.{name}").read_text() for name in ("out", "err")))
        )
        assert process.exitcode is not None, f"process {rank} took longer than {timeout} s: {ended[-1].err}"
    return ended


def _run(task: Task, environment: Mapping[str, str], names: Sequence[Path]) -> None:
    os.environ.update(environment)
    speak_into(names)
    code = task()
    sys.stdout.flush()
    os._exit(code)  # nothing of the test run that was forked off may be closed here


def speak_into(names: Sequence[Path]) -> None:
    """Let this process write what it says to files, one for each stream."""
    sys.stdout, sys.stderr = (path.open("w", buffering=1) for path in names)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        os.dup2(stream.fileno(), number)
