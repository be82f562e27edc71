"""Further processes: they share the work and the cores, and vanish with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from motacli.console import NullProgress
from motacli.coworkers import as_many_as_pay, available_cores, helped
from motacli.errors import MotaError, UsageError
from motacli.working import work_off

PATIENCE = 120
"""Seconds until a test gives up on another process."""


@dataclass(frozen=True)
class Job:
    title: str


@dataclass(frozen=True)
class Folder:
    """Finished jobs are files that say which process did them."""

    root: Path

    def is_done(self, job: Job) -> bool:
        return (self.root / job.title).exists()

    def lock(self, job: Job) -> Path:
        return self.root / "locks" / job.title

    def do(self, job: Job) -> None:
        """Done, but the first of each process only when both have begun."""
        (self.root / "begun").mkdir(exist_ok=True)
        (self.root / "begun" / str(os.getpid())).write_text(str(torch.get_num_threads()))
        wait_until(lambda: len(list((self.root / "begun").iterdir())) == 2)
        (self.root / job.title).write_text(str(os.getpid()))


def wait_until(true: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "the other process does not get on"
        time.sleep(0.02)


def work(root: Path) -> None:
    work_off([Job(str(number)) for number in range(4)], Folder(root), Folder(root).do, NullProgress())


def refuse(root: Path) -> None:
    raise MotaError("no")


def sleep(root: Path) -> None:
    (root / "helper").write_text(str(os.getpid()))
    time.sleep(PATIENCE)


def test_two_processes_share_jobs_and_cores(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    with helped(2, work, tmp_path):
        assert torch.get_num_threads() == max(available_cores() // 2, 1)
        work(tmp_path)
    assert torch.get_num_threads() == threads
    did = {(tmp_path / str(number)).read_text() for number in range(4)}
    begun = {path.name: path.read_text() for path in (tmp_path / "begun").iterdir()}
    assert did == set(begun) and str(os.getpid()) in did
    assert set(begun.values()) == {str(max(available_cores() // 2, 1))}


def test_what_a_helper_refuses_is_left_to_the_first_process(tmp_path: Path) -> None:
    with helped(2, refuse, tmp_path):
        pass


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_coworkers_end_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), helped(2, sleep, tmp_path):
        wait_until((tmp_path / "helper").exists)
        raise ValueError("stop")
    wait_until(lambda: not runs(tmp_path))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_coworkers_of_a_killed_process_vanish(tmp_path: Path) -> None:
    code = f"""
import pathlib, test_coworkers
from motacli.coworkers import helped
if __name__ == "__main__":
    with helped(2, test_coworkers.sleep, pathlib.Path({str(tmp_path)!r})):
        pass
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    first = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": paths})
    wait_until(lambda: (tmp_path / "helper").exists() or first.poll() is not None)
    assert runs(tmp_path)
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not runs(tmp_path))


def runs(root: Path) -> bool:
    """Whether the helper is a live process; one that nobody has waited for yet is not."""
    try:
        state = Path(f"/proc/{(root / 'helper').read_text()}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_how_many() -> None:
    assert 1 <= as_many_as_pay() <= min(available_cores(), 4)
    with pytest.raises(UsageError, match="0 workers"), helped(0, refuse):
        pass
