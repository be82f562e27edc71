"""Works a list of jobs off, beside any other processes that do the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from motacli.console import Progress
from motacli.locks import claimed

PAUSE = 0.5
"""Seconds between two looks at jobs that other processes work on."""


class Titled(Protocol):
    """A job."""

    @property
    def title(self) -> str:
        """What people read of it."""


J = TypeVar("J", bound=Titled)
J_contra = TypeVar("J_contra", contravariant=True)


class Places(Protocol[J_contra]):
    """Where jobs are kept."""

    def is_done(self, job: J_contra, /) -> bool:
        """Whether the job is finished."""

    def lock(self, job: J_contra, /) -> Path:
        """What a process holds while it works on a job."""


def work_off(jobs: Sequence[J], folder: Places[J], do: Callable[[J], None], progress: Progress) -> None:
    """Return when all jobs are finished, whoever did them.

    A job that another process works on is left to it, and taken over should that process vanish.
    """
    todo = [job for job in jobs if not folder.is_done(job)]
    if not todo:
        progress.log(f"all {len(jobs)} jobs are done")
        return
    progress.log(f"{len(todo)} of {len(jobs)} jobs to do")
    try:
        for _ in progress.track(_finished(todo, folder, do, progress), "jobs", len(todo)):
            pass
    except KeyboardInterrupt:
        left = sum(not folder.is_done(job) for job in jobs)
        progress.log(f"{left} of {len(jobs)} jobs are left; the same command goes on from there")
        raise


def _finished(todo: Sequence[J], folder: Places[J], do: Callable[[J], None], progress: Progress) -> Iterator[J]:
    """The jobs, each when it is finished."""
    waits = False
    while todo:
        left = []
        for job in todo:
            if _is_done_now(job, folder, do, progress):
                yield job
            else:
                left.append(job)
        if len(left) == len(todo):
            if not waits:
                progress.log(f"another process works on the last {len(left)} jobs: waiting for it")
            waits = True
            time.sleep(PAUSE)
        todo = left


def _is_done_now(job: J, folder: Places[J], do: Callable[[J], None], progress: Progress) -> bool:
    """Do the job unless somebody else does or did it; whether it is finished."""
    if folder.is_done(job):
        return True
    with claimed(folder.lock(job)) as mine:
        if mine and not folder.is_done(job):
            started = time.perf_counter()
            do(job)
            progress.log(f"done: {job.title}, in {time.perf_counter() - started:.0f} s")
    return mine
