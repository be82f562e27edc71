"""Triplets by a cluster of this machine, long: workers and drivers are killed again and again, and one is interrupted.

python tests/cluster/ray_triplets.py --rows 4000 --kills 6    # the record of it as JSON; an error where a row is amiss
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests")]

from llm_server import FAULTS, LLMServer, mixed  # noqa: E402

KINDS = {
    kind: handler
    for kind, handler in FAULTS.items()
    if kind.startswith(("wrong", "another", "truncated", "plain", "null", "not", "cut", "invalid", "megabyte", "empty"))
}
"""Answers that are no good, of a server that is there all the same: how often it is asked then depends on the row."""
WAYS = ("worker", "driver", "driver", "Ctrl-C")


def long_run(folder: Path, rows: int, kills: int, seed: int = 0) -> dict[str, Any]:
    """What the two engines counted and what was killed; `AssertionError` where they do not agree."""
    data, rng = folder / "data.jsonl", Random(seed)
    lines = ({"id": f"r{i}", "image": f"{i}.jpg", "caption": f"a dog number {i}"} for i in range(rows))
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with LLMServer(mixed(0.1, KINDS), draw="caption", latency=0.02, seed=seed) as server:
        argv = [
            sys.executable,
            "-m",
            "motacli",
            "gen-triplets",
            str(data),
            "--generator",
            "llm",
            "--llm-url",
            server.url,
        ]
        argv += ["--llm-model", "m", "--concurrency", "16", "--attempts", "3", "--option", "asking.backoff=0.02", "-o"]
        begun = time.monotonic()
        assert _started(argv, folder / "here.jsonl").wait() == 0
        here = time.monotonic() - begun
        sent, killed, there = sum(server.asked.values()), [], folder / "there.jsonl"
        for number in range(kills):
            running = _started(argv, there, "--engine", "ray", "--ray-workers", "2")
            before = _finished(there)
            while _finished(there) < before + rows // (kills + 2) and running.poll() is None:
                time.sleep(0.05)
            family = _below(running.pid)
            way = WAYS[number % len(WAYS)]
            killed.append(f"{way} after {_finished(there)} rows")
            if way == "worker":
                workers = [pid for pid in family if "TripletWorker" in _command(pid)]
                os.kill(rng.choice(workers), signal.SIGKILL)
                time.sleep(3)
            if way == "Ctrl-C":
                os.killpg(running.pid, signal.SIGINT)  # all of the terminal's foreground, as a key would
                assert running.wait(60) == 130
            else:
                running.send_signal(signal.SIGKILL)
                running.wait()
            # Ray's own agents look for it in vain before they go, for two minutes.
            assert _gone([pid for pid in family if "Agent" not in _command(pid)]), "processes of the cluster are left"
        begun = time.monotonic()
        assert _started(argv, there, "--engine", "ray", "--ray-workers", "2").wait() == 0
        seconds, asked = time.monotonic() - begun, sum(server.asked.values()) - sent
    for ending in (".jsonl", ".rejects.jsonl"):
        found = [sorted((folder / f"{name}{ending}").read_text().splitlines()) for name in ("here", "there")]
        assert found[0] == found[1] and len(set(found[0])) == len(found[0]), ending
    records = [json.loads((folder / f"{name}.meta.json").read_text()) for name in ("here", "there")]
    for record in records:
        record.pop("sha256")
    assert records[0] == records[1]
    counts = {key: records[0][key] for key in ("rows", "triplets", "rejected", "requests", "prompt_tokens")}
    timing = {"seconds here": round(here, 1), "seconds of the last run": round(seconds, 1)}
    return {**counts, "killed": killed, "requests sent here": sent, "requests sent there": asked, **timing}


def _started(argv: list[str], out: Path, *more: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    silent = subprocess.DEVNULL
    return subprocess.Popen([*argv, str(out), *more], env=environment, stdout=silent, start_new_session=True)


def _finished(out: Path) -> int:
    path = out.with_name(f"{out.name}.rows.partial")
    return max(path.read_bytes().count(b"\n") - 1, 0) if path.exists() else 0


def _below(pid: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    path = Path(f"/proc/{pid}/task")
    try:
        children = [int(word) for task in path.iterdir() for word in (task / "children").read_text().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *_below(child))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _gone(pids: list[int], seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while any(_command(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--kills", type=int, default=6)
    chosen = parser.parse_args()
    with TemporaryDirectory() as name:
        print(json.dumps(long_run(Path(name), chosen.rows, chosen.kills), indent=2))
