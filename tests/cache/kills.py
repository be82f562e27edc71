"""Kills builders of a cache at random moments: ``python tests/cache/kills.py --kills 200 [--layout parts]``.

Every build is a forked process that runs ``mota cache`` on a few dozen pictures, some of them broken, and is killed
after a random time. The next one goes on. Whenever one gets through, its file is compared with that of an undisturbed
build, and everything starts over. Prints a JSON object; exit code 1 if anything was lost, doubled, different, or
decoded again after the part it is in was finished.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

# All that a build imports is there before the first fork.
import motacli.evaluating
import motacli.models
import motacli.tiny.clip  # noqa: F401
from motacli.cache import FeatureCache, decoding, encoding
from motacli.cache.broken import errors_file
from motacli.cache.manifest import readable_parts
from motacli.cache.work import MANIFEST, parts_folder, remove_work
from motacli.cli import main as mota
from motacli.contracts import ImageRef
from motacli.datasets import open_image
from motacli.plugins import load_plugins
from motacli.runs import partial_path
from motacli.tiny.make import make_pairs

PICTURES, BROKEN = 90, (0, 17, 18, 89)
HOST = load_plugins(entry_points=[])
SLOW = 0.002
"""Seconds that every picture takes longer, or all would be over before the first kill."""


@dataclass
class Found:
    """What happened, and what went wrong."""

    kills: int = 0
    finished_builds: int = 0
    kept_parts: int = 0
    decoded_again: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> bool:
        """Whether the cache did not keep its promises, or was never put to the test."""
        return bool(self.decoded_again or self.different or not self.finished_builds or not self.kept_parts)


def make_source(folder: Path) -> None:
    """Pictures with captions, some of which cannot be read."""
    make_pairs(folder, seed=1, count=PICTURES)
    pictures = sorted(folder.glob("images/*"))
    for number in BROKEN:
        pictures[number].write_bytes(pictures[number].read_bytes()[:60])


def fault_run(source: Path, work: Path, kills: int, layout: str, seed: int = 0) -> Found:
    """Kill builders until ``kills`` of them were killed."""
    found, rng = Found(), random.Random(seed)
    undisturbed = work / "undisturbed.h5"
    begun = time.monotonic()
    _require_built(build(source, undisturbed, layout, work / "log"), undisturbed)
    longest = 1.2 * (time.monotonic() - begun)
    path, log = work / "killed.h5", work / "decoded"
    while found.kills < kills:
        finished = finished_pictures(path, source)
        found.kept_parts += len(readable_parts(partial_path(path) / MANIFEST))
        log.unlink(missing_ok=True)
        child = start(source, path, layout, log)
        time.sleep(rng.uniform(0, longest))
        if stop(child):
            found.kills += 1
        else:
            found.finished_builds += 1
        found.decoded_again += sorted(finished & set(decoded(log)))
        if path.exists():
            found.different += differences(path, undisturbed)
            clear(path)
    # The last one is left alone.
    _require_built(build(source, path, layout, log), path)
    found.finished_builds += 1
    found.different += differences(path, undisturbed)
    return found


def start(source: Path, path: Path, layout: str, log: Path) -> int:
    """A process that builds; its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        encoding.PART_ROWS = 12
        decoding.open_image = slow_and_logged(log)  # type: ignore[assignment]
        words = ["cache", str(source), "-o", str(path), "--workers", "3", "--batch-size", "4", "--layout", layout]
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        code = mota([*words, "--quiet"], host=HOST)
    finally:
        os._exit(code)
    return 0


def build(source: Path, path: Path, layout: str, log: Path) -> int:
    """Build undisturbed; the exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(start(source, path, layout, log), 0)[1])


def stop(child: int) -> bool:
    """Kill a process; whether that was what ended it."""
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def slow_and_logged(log: Path) -> Any:
    """Opens pictures as ever, but slowly, and writes down which."""

    def opened(ref: ImageRef, *given: Any) -> Any:
        with log.open("a") as file:
            file.write(f"{ref.id}\n")
        time.sleep(SLOW)
        return open_image(ref, *given)

    return opened


def decoded(log: Path) -> Iterator[str]:
    """The ids of the pictures that a build opened."""
    return iter(log.read_text().splitlines()) if log.exists() else iter(())


def finished_pictures(path: Path, source: Path) -> set[str]:
    """The pictures that finished parts cover."""
    ids = sorted(file.relative_to(source).as_posix() for file in source.glob("images/*"))
    parts = [part for part in readable_parts(partial_path(path) / MANIFEST) if part.kind == "images"]
    return {id for part in parts for id in ids[part.start : part.stop]}


def differences(path: Path, undisturbed: Path) -> list[str]:
    """What of a finished file is not as it should be."""
    one, other = FeatureCache(path), FeatureCache(undisturbed)
    same = {
        "ids": one.ids == other.ids and len(set(one.ids)) == PICTURES - len(BROKEN),
        "captions": one.captions() == other.captions(),
        "features": np.array_equal(one.features(), other.features()),
        "text features": np.array_equal(one.text_features(), other.text_features()),
        "errors": errors_file(path).read_bytes() == errors_file(undisturbed).read_bytes(),
    }
    return [name for name, is_same in same.items() if not is_same]


def clear(path: Path) -> None:
    """Start over."""
    remove_work(path)
    shutil.rmtree(parts_folder(path), ignore_errors=True)
    for file in (path, errors_file(path)):
        file.unlink(missing_ok=True)


def _require_built(code: int, path: Path) -> None:
    if code or not path.exists():
        raise SystemExit(f"a build that nobody disturbed ended with {code}")


def main() -> int:
    """Parse the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--layout", choices=("single", "parts"), default="single")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        make_source(source)
        found = fault_run(source, Path(folder), options.kills, options.layout, options.seed)
    print(json.dumps({**asdict(found), "wrong": found.wrong}))
    return int(found.wrong)


if __name__ == "__main__":
    raise SystemExit(main())
