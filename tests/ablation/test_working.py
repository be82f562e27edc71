"""Who does which job: locks between processes, kills, and what is gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ablation.small_grid import copied, jobs, values

from motacli.ablation.claims import claimed
from motacli.ablation.jobs import Job, JobFolder
from motacli.ablation.working import work_off
from motacli.console import NullProgress
from motacli.runs import RunDir

STEPS = 60


def job(number: int) -> Job:
    return Job("lincir", "lincir", None, number, {"number": number})


class Said(NullProgress):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str) -> None:
        self.lines.append(message)


def test_a_lock_is_held_by_one_and_gone_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "a"
    with claimed(lock) as mine, claimed(lock) as other:
        assert mine and not other
    assert not lock.exists()
    with pytest.raises(ValueError, match="stop"), claimed(lock):
        raise ValueError("stop")
    assert lock.exists()
    with claimed(lock) as again:
        assert again


def test_jobs_of_another_process_are_waited_for_and_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, did, said = JobFolder(tmp_path), [], Said()
    all_jobs = [job(number) for number in range(4)]

    def do(one: Job) -> None:
        did.append(one.seed)
        RunDir.create(folder.path(one)).complete()

    do(all_jobs[3])
    other = claimed(folder.lock(all_jobs[1]))
    assert other.__enter__()

    def finish(seconds: float) -> None:
        RunDir.create(folder.path(all_jobs[1])).complete()
        other.__exit__(None, None, None)

    monkeypatch.setattr("motacli.ablation.working.time.sleep", finish)
    work_off(all_jobs, folder, do, said)
    assert did == [3, 0, 2]
    assert any("another process works on the last 1 jobs" in line for line in said.lines)


def test_a_job_is_taken_over_when_the_other_process_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, did = JobFolder(tmp_path), []

    def do(one: Job) -> None:
        did.append(one.seed)
        RunDir.create(folder.path(one)).complete()

    folder.lock(job(0)).parent.mkdir()
    with folder.lock(job(0)).open("ab") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        monkeypatch.setattr("motacli.ablation.working.time.sleep", lambda seconds: file.close())
        work_off([job(0)], folder, do, NullProgress())
    assert did == [0]


def test_ctrl_c_says_what_is_left(tmp_path: Path) -> None:
    folder, said = JobFolder(tmp_path), Said()

    def do(one: Job) -> None:
        if one.seed == 1:
            raise KeyboardInterrupt
        RunDir.create(folder.path(one)).complete()

    with pytest.raises(KeyboardInterrupt):
        work_off([job(0), job(1), job(2)], folder, do, said)
    assert said.lines[-1] == "2 of 3 jobs are left; the same command goes on from there"


# ---------------------------------------------------------------------------------------------- processes


def command(out: Path) -> list[str]:
    words = ["ablate", "--out", str(out), "--inversion", "lincir", "--seeds", "0,1", "--vary", "experts=1,4"]
    train = [f"steps={STEPS}", "batch_size=16", "warmup=1"]
    more = [word for text in train for word in ("--train-option", text)]
    return [sys.executable, "-m", "motacli", *words, *more, "--benchmark", "cirr", "--save-every", "10", "--json"]


def start(out: Path) -> subprocess.Popen[str]:
    threads = {"OMP_NUM_THREADS": "1", "MOTA_PLUGINS": ""}
    pipe = subprocess.PIPE
    return subprocess.Popen(command(out), stdout=pipe, stderr=pipe, text=True, env={**os.environ, **threads})


def finish(process: subprocess.Popen[str]) -> tuple[Any, str]:
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return json.loads(printed), said


@pytest.fixture(scope="module")
def undisturbed(small_ablation: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = copied(small_ablation, tmp_path_factory.mktemp("undisturbed") / "a")
    return out, finish(start(out))[0]


def test_two_processes_share_the_jobs(small_ablation: Path, tmp_path: Path, undisturbed: tuple[Path, Any]) -> None:
    out = copied(small_ablation, tmp_path / "a")
    found = [finish(process) for process in [start(out), start(out)]]
    done = [line.partition(", in ")[0] for _, said in found for line in said.splitlines() if line.startswith("done: ")]
    assert len(done) == len(set(done)) == 5
    assert all(values(rows) == values(undisturbed[1]) for rows, _ in found)
    assert jobs(out) == jobs(undisturbed[0])


def test_killed_it_goes_on_and_ends_with_the_same_rows(
    small_ablation: Path, tmp_path: Path, undisturbed: tuple[Path, Any]
) -> None:
    out = copied(small_ablation, tmp_path / "a")
    process, deadline = start(out), time.monotonic() + 120
    while not list(out.glob("jobs/*.partial/work/training.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (left,) = out.glob("jobs/*.partial/work/training.pt")
    rows, said = finish(start(out))
    assert f"of {STEPS} steps" in said and "going on after" in said
    assert values(rows) == values(undisturbed[1])
    for name in (name for name in jobs(out) if "mota" in name):
        one, other = (folder / "jobs" / name / "adapter.safetensors" for folder in (out, undisturbed[0]))
        assert one.read_bytes() == other.read_bytes()
    assert not left.exists()
