"""Kills updates of an index at random moments: ``python tests/search/update_kills.py --kills 40 [--first]``.

The pictures of an index change, and a forked process that runs ``mota index --update`` is killed: every other time
after a random time, else just before a random one of its steps on files of the index. Then the old index, or the new
one where the switch was made, has to answer as it should, and the next update has to end in the same state as an
undisturbed one, bit for bit. With ``--first`` it is the first build of an index that is killed, and gone on with by the
same command. Prints a JSON object; exit code 1 if anything was different.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from picture_folders import draw, draw_all

# All that an update imports is there before the first fork.
from motacli.cache import decoding, encoding
from motacli.cli import main as mota
from motacli.contracts import ImageRef
from motacli.datasets import open_image
from motacli.errors import MotaError
from motacli.plugins import load_plugins
from motacli.search.index import Index

PICTURES = 40
HOST = load_plugins(entry_points=[])
SLOW = 0.004
"""Seconds that every picture takes longer, or all would be over before the first kill."""
HOW = ("--workers", "2", "--batch-size", "4", "--quiet")
STEPS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "shutil.copyfile")


@dataclass
class Found:
    """What happened, and what went wrong. ``switched`` kills came after the new state had taken over."""

    kills: int = 0
    of_them_by_step: int = 0
    switched: int = 0
    encoded_by_killed: int = 0
    different: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """An index as it was (``before``), as an undisturbed build leaves it (``after``), and the one that is killed.

    Where it is the ``first`` build that is killed there was none before.
    """

    pictures: Path
    before: Path
    after: Path
    path: Path
    log: Path
    first: bool = False

    def command(self, path: Path) -> list[str]:
        """What builds the index ``path``, or brings it up to date."""
        words = ["--inversion", "lincir", "--thumbnails", "8"] if self.first else ["--update"]
        return ["index", *([str(self.pictures), "-o"] if self.first else []), str(path), *words, *HOW]

    def set_up(self, path: Path) -> None:
        """Put the index ``path`` back to what it was."""
        shutil.rmtree(path, ignore_errors=True)
        if not self.first:
            shutil.copytree(self.before, path)


def make_case(folder: Path, first: bool) -> Case:
    """Pictures, an index of them, and then other pictures."""
    case = Case(*(folder / name for name in ("pictures", "before.mota", "after.mota", "my.mota", "log")))
    pictures = draw_all(case.pictures, PICTURES)
    pictures[7].write_bytes(b"broken")
    if first:
        case = replace(case, first=True)
        _require_done(_waited(_start(case, case.after, 0)))
        return case
    with redirect_stdout(sys.stderr):  # our own answer alone goes to stdout
        _require_done(mota(replace(case, first=True).command(case.before), host=HOST))
    for number in range(8, 20):
        draw(pictures[number], 1000 + number)
    for number in range(20, 25):
        pictures[number].unlink()
    pictures[25].rename(folder / "pictures/moved.jpg")
    draw_all(folder / "pictures/new", 10, first_seed=2000)
    (folder / "pictures/new/broken.jpg").write_bytes(b"broken, too")
    case.set_up(case.after)
    _require_done(_waited(_start(case, case.after, 0)))
    return case


def fault_run(case: Case, kills: int, seed: int = 0) -> Found:
    """Kill ``kills`` updates, look at what each leaves, and let another one end."""
    found, rng = Found(), random.Random(seed)
    old, new = {} if case.first else answers(case.before), answers(case.after)
    begun = time.monotonic()
    steps = _steps(case)
    longest = time.monotonic() - begun
    while found.kills < kills:
        case.set_up(case.path)
        case.log.unlink(missing_ok=True)
        by_step = found.kills % 2 == 1
        step = rng.randint(*rng.choice([(1, steps), (2 * steps // 3, steps)]))  # the switch is among the last
        if not _kill(case, step if by_step else 0, rng.uniform(0, longest)):
            continue
        found.kills += 1
        found.of_them_by_step += by_step
        found.encoded_by_killed += bool(case.log.exists())
        here = answers(case.path) if (case.path / "index.json").exists() else {}
        switched = here.get("state") != old.get("state")
        found.switched += switched
        found.different += [f"killed: {name}" for name in here if here[name] != (new if switched else old).get(name)]
        _require_done(_waited(_start(case, case.path, 0)))
        found.different += [f"went on: {name}" for name, value in answers(case.path).items() if value != new.get(name)]
        found.different += [f"left behind: {name}" for name in _names(case.path) ^ _names(case.after)]
    return found


def answers(path: Path) -> dict[str, Any]:
    """All that an index holds and says, to compare; what is wrong with one that cannot be opened."""
    try:
        return _answers(path)
    except (MotaError, OSError) as error:
        return {"state": None, "opening": str(error)}


def _answers(path: Path) -> dict[str, Any]:
    with Index.open(path) as index:
        store = index.open_store(HOST)
        rows, scores = store.search(index.vectors.units(slice(0, 5)), 10)
        files = ("features.npy", "norms.npy", "entries.sqlite", "errors.jsonl")
        return {
            "state": index.generation,
            "rows": rows.tolist(),
            "scores": np.asarray(scores).tolist(),
            "entries": list(index.entries),
            "thumbnails": [(index.thumbnail(entry) or path).is_file() for entry in index.entries],
            **{name: (index.state / name).read_bytes() for name in files},
        }


def _kill(case: Case, step: int, seconds: float) -> bool:
    """Kill an update before a step, or where that is 0 after a time; whether that was what ended it."""
    child = _start(case, case.path, step)
    if not step:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return _waited(child) == -signal.SIGKILL


def _steps(case: Case) -> int:
    """How many steps on files of the index an update takes."""
    case.set_up(case.path)
    counted = case.log.with_name("steps")
    _require_done(_waited(_start(case, case.path, -1, counted)))
    return int(counted.read_text())


def _start(case: Case, path: Path, step: int, counted: Path | None = None) -> int:
    """A process that builds, and kills itself before a step that is above 0; its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        encoding.PART_ROWS = 4
        decoding.open_image = _slow_and_logged(case.log)  # type: ignore[assignment]
        seen = _count_steps(path, step)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        code = mota(case.command(path), host=HOST)
        if counted is not None:
            counted.write_text(str(len(seen)))
    finally:
        os._exit(code)
    return 0


def _count_steps(path: Path, last: int) -> list[str]:
    """Notes every step on a file of the index from now on, and ends this process before the last."""
    seen: list[str] = []
    inside = os.fsencode(path)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        file = arguments[0] if event in STEPS else None
        if isinstance(file, (str, bytes, os.PathLike)) and inside in os.fsencode(file):
            seen.append(event)
            if len(seen) == last:
                os.kill(os.getpid(), signal.SIGKILL)

    if last:
        sys.addaudithook(hook)
    return seen


def _slow_and_logged(log: Path) -> Any:
    def opened(ref: ImageRef, file: Any = None) -> Any:
        log.touch()
        time.sleep(SLOW)
        return open_image(ref, file)

    return opened


def _names(path: Path) -> set[str]:
    return {file.relative_to(path).as_posix() for file in path.rglob("*")}


def _waited(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _require_done(code: int) -> None:
    if code:
        raise SystemExit(f"a build that nobody disturbed ended with {code}")


def main() -> int:
    """Parse the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = fault_run(make_case(Path(folder), options.first), options.kills, options.seed)
    print(json.dumps(asdict(found)))
    return int(bool(found.different))


if __name__ == "__main__":
    raise SystemExit(main())
