"""Who does which job: locks between processes, kills, and what is gone on with."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ablation.small_grid import copied, jobs, values
from forked import finished, forked_mota

from motacli.ablation.jobs import Job, JobFolder
from motacli.cli import main
from motacli.console import NullProgress
from motacli.locks import claimed
from motacli.plugins import PluginHost
from motacli.runs import RunDir
from motacli.working import work_off

STEPS = 12


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

    monkeypatch.setattr("motacli.working.time.sleep", finish)
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
        monkeypatch.setattr("motacli.working.time.sleep", lambda seconds: file.close())
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


def words(out: Path) -> list[str]:
    train = [f"steps={STEPS}", "batch_size=16", "warmup=1"]
    more = [word for text in train for word in ("--train-option", text)]
    what = ["--inversion", "lincir", "--seeds", "0", "--vary", "experts=1,4", "--benchmark", "cirr"]
    return ["ablate", "--out", str(out), *what, *more, "--save-every", "4", "--json"]


def rows_of(out: Path) -> Any:
    return values(json.loads((out / "vary-experts" / "table.json").read_text()))


@pytest.fixture(scope="module")
def undisturbed(small_ablation: Path, tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> Path:
    out = copied(small_ablation, tmp_path_factory.mktemp("undisturbed") / "a")
    assert main(words(out), host=host) == 0
    return out


@pytest.mark.thorough
def test_two_processes_share_the_jobs(small_ablation: Path, tmp_path: Path, undisturbed: Path) -> None:
    out, logs = copied(small_ablation, tmp_path / "a"), [tmp_path / "one.log", tmp_path / "two.log"]
    for process in [forked_mota(words(out), log) for log in logs]:
        finished(process)
    lines = [line.partition(", in ")[0] for log in logs for line in log.read_text().splitlines()]
    done = [line for line in lines if line.startswith("done: ")]
    assert len(done) == len(set(done)) == 3
    assert rows_of(out) == rows_of(undisturbed) and jobs(out) == jobs(undisturbed)


def test_killed_it_goes_on_and_ends_with_the_same_rows(small_ablation: Path, tmp_path: Path, undisturbed: Path) -> None:
    out, log = copied(small_ablation, tmp_path / "a"), tmp_path / "said.log"
    process, deadline = forked_mota(words(out), log), time.monotonic() + 120
    while not list(out.glob("jobs/*.partial/work/training.pt")):
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.join()
    (left,) = out.glob("jobs/*.partial/work/training.pt")
    finished(forked_mota(words(out), log))
    assert "going on after" in log.read_text() and not left.exists()
    assert rows_of(out) == rows_of(undisturbed)
    for name in (name for name in jobs(out) if "mota" in name):
        one, other = (folder / "jobs" / name / "adapter.safetensors" for folder in (out, undisturbed))
        assert one.read_bytes() == other.read_bytes()
