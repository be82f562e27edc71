"""The peak memory of a piece of work, measured in a process that does nothing else.

``python -m motacli.bench.memory`` is that process: it reads a pickled function from stdin, calls it to make the inputs,
notes the level of resident memory, does the work and prints by how much memory rose above that level.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from motacli.errors import MotaError

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_HIGH_WATER_MARK = "5"


@dataclass(frozen=True, slots=True)
class Peak:
    """Resident memory in megabytes of 10^6 bytes: the peak above the inputs' level, and the peak of the process."""

    added_mb: float
    total_mb: float


def peak_memory(prepare: Callable[[], Callable[[], object]]) -> Peak:
    """The memory that ``prepare()()`` takes in a fresh process; the outer call makes inputs and counts as level.

    ``prepare`` has to be picklable. Its inputs should leave no large garbage behind: not every system forgets a peak.
    """
    # -P keeps the current folder out of the child's path; the paths of this process, tests' included, are handed on.
    command = [sys.executable, "-P", "-m", "motacli.bench.memory"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, input=pickle.dumps(prepare), capture_output=True, env=environment, check=False)
    if done.returncode != 0:
        raise MotaError(f"the process that measures memory failed: {_reason(done)}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def measure(prepare: Callable[[], Callable[[], object]]) -> Peak:
    """`peak_memory` in this very process."""
    work = prepare()
    before = _high_water_mark()
    _reset_high_water_mark()
    level = _level()
    result = work()  # kept until the peak is read: a result is part of what the work needs
    after = _high_water_mark()
    del result
    return Peak(added_mb=max(after - level, 0) / 1e6, total_mb=max(before, after) / 1e6)


def _level() -> int:
    """Bytes resident now; where only a maximum is known, that."""
    return _status("VmRSS") or _max_rss()


def _high_water_mark() -> int:
    """The most bytes that were resident at once.

    Linux tells it of this program; ``ru_maxrss`` may still remember the process that started it.
    """
    return _status("VmHWM") or _max_rss()


def _reset_high_water_mark() -> None:
    """Forget a peak that making the inputs left, on systems that can."""
    try:
        CLEAR_REFS.write_text(RESET_HIGH_WATER_MARK)
    except OSError:
        return  # an older mark can only make the peak look higher


def _status(key: str) -> int | None:
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB$", STATUS.read_text(), re.M)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _max_rss() -> int:
    try:
        import resource
    except ImportError:
        raise MotaError("this system does not tell how much memory a process used", "use Linux or macOS") from None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return f"ended by signal {-done.returncode}, which is 9 where memory ran out"
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


if __name__ == "__main__":
    print(json.dumps(asdict(measure(pickle.load(sys.stdin.buffer)))))
