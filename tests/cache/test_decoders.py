"""Pictures decoded in processes: the same bits as in threads, without the weights, and no death goes unnoticed."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from colour import Colour, Portable
from forked import server
from PIL import Image
from places import REPOSITORY

from motacli.cache import CacheOptions, build_cache
from motacli.cache.decoders import in_processes, in_threads, portable_preparation
from motacli.cache.decoding import Row
from motacli.contracts import ImageRef
from motacli.errors import MotaError, UsageError
from motacli.runs import partial_path

PROCESSES = CacheOptions(strict=False, decode="processes")
SCRIPT = """
import signal
import sys
import time
from pathlib import Path
from colour import Portable
from motacli.cache import CacheOptions, build_cache
from motacli.datasets import open_pictures

class Slow(Portable):
    def encode_image(self, pixels):
        print("encoding", flush=True)
        time.sleep(1)
        return super().encode_image(pixels)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs do not have
    options = CacheOptions(decode="processes")
    build_cache(Path(sys.argv[2]), Slow(), open_pictures(Path(sys.argv[1])), batch_size=1, workers=2, options=options)
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Pictures of several sizes, two of which are broken."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(40):
        size = (50 + number, 70, 3)
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(folder / f"{number:02}.jpg")
    for broken in (3, 39):
        file = folder / f"{broken:02}.jpg"
        file.write_bytes(file.read_bytes()[:200])
    return [(ImageRef(file.name, file), f"caption of {file.name}") for file in sorted(folder.iterdir())]


@pytest.fixture
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders are forked from a process that has torch, not spawned: what they are given is pickled all the same."""
    context = server()
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: context)


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.usefixtures("quick_start")
def test_pictures_are_the_same_to_the_bit_and_in_order(rows: list[Row], tiny_backbone: Any) -> None:
    with closing(in_processes(tiny_backbone, 2)(iter(rows), 24)) as found:
        processes = list(found)
    threads = list(in_threads(tiny_backbone, 2)(rows, 24))
    assert [one.ref for one in processes] == [ref for ref, _ in rows]
    for one, other in zip(processes, threads, strict=True):
        assert (one.ref, one.caption, one.broken) == (other.ref, other.caption, other.broken)
        if other.pixels is None:
            assert one.pixels is None and str(one.error) == str(other.error)
        else:
            assert one.pixels is not None and one.pixels.is_shared() and torch.equal(one.pixels, other.pixels)
    assert sum(one.error is not None for one in processes) == 2 and not multiprocessing.active_children()


def test_only_the_preparation_travels(tiny_backbone: Any) -> None:
    assert len(pickle.dumps(portable_preparation(tiny_backbone))) < 5_000

    class Local(Colour):
        preparation = staticmethod(lambda image: torch.zeros(3, 1, 1))

    for backbone, said in ((Colour(), "has no `preparation`"), (Local(), "cannot be pickled")):
        with pytest.raises(UsageError, match=f"'colour'.*{said}") as raised:
            in_processes(backbone, 2)  # type: ignore[arg-type]
        assert "--decode threads" in raised.value.hint
    with pytest.raises(UsageError, match="--decode processes needs some"):
        in_processes(tiny_backbone, 0)


@pytest.mark.usefixtures("quick_start")
def test_a_process_that_is_killed_ends_the_build_which_then_goes_on(rows: list[Row], tmp_path: Path) -> None:
    class Killing(Portable):
        calls = 0

        def encode_image(self, pixels):  # type: ignore[no-untyped-def]
            self.calls += 1
            if self.calls == 2:
                for process in multiprocessing.active_children():
                    os.kill(process.pid or 0, signal.SIGKILL)
            return super().encode_image(pixels)

    refs = [ref for ref, _ in rows]
    how: dict[str, Any] = {"batch_size": 2, "workers": 2, "options": PROCESSES}
    with pytest.raises(MotaError, match="a process that decodes pictures has died") as raised:
        build_cache(tmp_path / "f.h5", Killing(), refs, **how)  # type: ignore[arg-type]
    assert "--decode threads" in raised.value.hint and partial_path(tmp_path / "f.h5").exists()
    assert not multiprocessing.active_children()
    found = build_cache(tmp_path / "f.h5", Portable(), refs, **how)  # type: ignore[arg-type]
    wanted = build_cache(tmp_path / "g.h5", Colour(), refs, batch_size=2, options=CacheOptions(strict=False))  # type: ignore[arg-type]
    assert found.ids == wanted.ids and np.array_equal(found.features(), wanted.features()) and found.skipped == 2


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the processes are found in /proc")
@pytest.mark.parametrize("ended_by", ["SIGINT", pytest.param("SIGKILL", marks=pytest.mark.thorough)])
def test_processes_go_with_the_build(ended_by: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(300):
        Image.new("RGB", (4, 4)).save(tmp_path / "in" / f"{number:03}.png")
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "tests/cache")))}
    words = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "in"), str(tmp_path / "f.h5")]
    build = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert build.stdout is not None and build.stdout.readline() == "encoding\n"
    started = children(build.pid)
    assert len(started) >= 2
    if ended_by == "SIGINT":
        os.killpg(build.pid, signal.SIGINT)  # as the terminal does: to all of them
    else:
        build.kill()
    err = build.communicate(timeout=60)[1]
    if ended_by == "SIGINT":
        assert err.count("Traceback") == 1 and err.endswith("KeyboardInterrupt\n") and "Process" not in err, err
    wait_until(lambda: not any(runs(pid) for pid in started))


def children(pid: int) -> list[int]:
    """The processes that another has started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
