"""Further processes that work on the same jobs, and go when the one that started them does."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from motacli.errors import MotaError, UsageError

MOST = 4
"""How many processes `as_many_as_pay` starts at most: each has a backbone and features of its own in memory."""
THREADS = "OMP_NUM_THREADS"


def as_many_as_pay() -> int:
    """One process per core that this one may use, `MOST` at most."""
    return max(min(available_cores(), MOST), 1)


@contextlib.contextmanager
def helped(workers: int, target: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Within it, ``workers`` processes share the cores: this one, and others that each call ``target(*arguments)``.

    ``target`` and ``arguments`` must be picklable, and ``target`` must return when there is nothing left to do; work is
    shared by locks (`motacli.working`), so nothing is lost when a helper fails: its job is then somebody else's. With
    several, each has its share of the cores as threads. A script that asks for helpers needs the usual guard,
    ``if __name__ == "__main__"``. Raises `UsageError` for fewer than one.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers cannot work", "give --workers 1 or more")
    if workers == 1:
        yield
        return
    import torch

    context = multiprocessing.get_context("spawn")
    mine, threads = torch.get_num_threads(), max(available_cores() // workers, 1)
    helpers = [context.Process(target=_help, args=(target, arguments), daemon=True) for _ in range(workers - 1)]
    with _environment(THREADS, str(threads)):
        for helper in helpers:
            helper.start()
    torch.set_num_threads(threads)
    try:
        yield
        for helper in helpers:
            helper.join()
    finally:
        torch.set_num_threads(mine)
        for helper in helpers:
            helper.terminate()


def _help(target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    go_with_parent()
    with contextlib.suppress(KeyboardInterrupt, MotaError):  # the first process says it, when it comes to that job
        target(*arguments)


def go_with_parent() -> None:
    """End this process as soon as the one that started it does: a killed process cannot stop its helpers."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
