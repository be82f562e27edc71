"""Caches by the workers of a Ray cluster: ``python tests/cluster/ray_caches.py --pictures 20000``.

A cluster of several nodes is started on this machine. Caches of small pictures with captions, some of them broken, are
built by 1, 2 and 4 workers, then while a node is killed, then by a process that is killed itself and another one that
goes on. Each is compared with that of the local engine. Prints a JSON object; exit code 1 if anything was lost, doubled
or different.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image

from motacli.cache import CacheOptions, build_cache, encoding
from motacli.cache.batching import window_rows
from motacli.cache.broken import errors_file
from motacli.cache.encoder import Engine, in_this_process
from motacli.cache.manifest import readable_parts
from motacli.cache.work import MANIFEST
from motacli.cluster import ClusterOptions
from motacli.cluster.caching import RayEngine, ray_engine
from motacli.cluster.ray_cluster import BackboneMaker
from motacli.console import NullProgress
from motacli.datasets import open_source
from motacli.models import BackboneChoice
from motacli.runs import partial_path
from motacli.tiny.clip import load_tiny

NODES, CPUS = 2, 2
"""Nodes that work, and what Ray believes each of them has."""
WORDS = ["red", "blue", "green", "large", "small", "circle", "square", "star", "left", "right", "above", "behind"]


@dataclass
class Found:
    """What happened: seconds of each build, rows that a killed one left, and what is wrong with which cache."""

    pictures: int
    seconds: dict[str, float] = field(default_factory=dict)
    died: list[str] = field(default_factory=list)
    kept_rows: int = 0
    different: dict[str, list[str]] = field(default_factory=dict)

    @property
    def wrong(self) -> bool:
        """Whether a cache is not what it should be, or nothing was put to the test."""
        return any(self.different.values()) or not self.died or not 0 < self.kept_rows < self.pictures


def make_source(folder: Path, count: int) -> Path:
    """Small pictures of noise with captions of one to nine words; one in a hundred, and the first, is cut off."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = []
    for number in range(count):
        path = folder / "images" / f"{number:06}.png"
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).save(path, compress_level=1)
        if number % 100 == 0:
            path.write_bytes(path.read_bytes()[:60])
        caption = " ".join(rng.choice(WORDS, rng.integers(1, 10)))
        lines.append(json.dumps({"image": f"images/{path.name}", "caption": caption}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


class Doing(NullProgress):
    """Calls ``action`` once so many windows of pictures are done, and keeps what it is told."""

    def __init__(self, after: int = 0, action: Callable[[], None] = lambda: None) -> None:
        self._after, self._action = after, action
        self.told: list[str] = []

    def track(self, items: Iterable[Any], description: Any = "", total: int | None = None) -> Iterator[Any]:
        for number, item in enumerate(items, 1):
            yield item
            if number == self._after and "pictures" in description:
                self._action()

    def log(self, message: str) -> None:
        self.told.append(message)

    def warn(self, message: str) -> None:
        self.told.append(message)


@dataclass(frozen=True)
class Trial:
    """Caches of one source, with their local counterpart."""

    source: Path
    work: Path
    batch_size: int

    def build(self, name: str, engine: Engine = in_this_process, progress: Any = None) -> Path:
        """Build a cache, or go on with it."""
        path = self.work / f"{name}.h5"
        options = CacheOptions(strict=False)
        how = {"batch_size": self.batch_size, "options": options, "progress": progress, "engine": engine}
        return build_cache(path, load_tiny(), open_source(self.source), **how).path  # type: ignore[arg-type]

    def differences(self, name: str) -> list[str]:
        """The columns in which a cache is not the local one, and its list of broken pictures if that is not."""
        one, other = (self.work / f"{which}.h5" for which in (name, "local"))
        mine, theirs = digests(one), digests(other)
        found = [column for column in sorted({*mine, *theirs}) if mine.get(column) != theirs.get(column)]
        return found + ["errors"] * (errors_file(one).read_bytes() != errors_file(other).read_bytes())

    @property
    def windows(self) -> int:
        """How many windows the source has."""
        rows = len((self.source / "captions.jsonl").read_text().splitlines())
        return -(-rows // window_rows(self.batch_size))


def digests(path: Path) -> dict[str, str]:
    """The checksums of the columns of a cache."""
    with h5py.File(path) as file:
        return {name: values[:].tobytes().hex() for name, values in file["checksums"].items()}


@contextmanager
def cluster_of_nodes() -> Iterator[Any]:
    """A cluster on this machine: a head that does no work, and nodes that do; this process is connected to it."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    import ray
    from ray.cluster_utils import Cluster

    notices = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": notices}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(NODES):
            cluster.add_node(num_cpus=CPUS)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def workers(count: int, address: str | None = None) -> Iterator[RayEngine]:
    """An engine of so many workers that hold the tiny CLIP."""
    with ray_engine(BackboneMaker(BackboneChoice("tiny")), ClusterOptions(address, count)) as engine:
        yield engine


def killed_driver(trial: Trial, name: str, address: str, after: int) -> int:
    """Build in another process until it is killed; the rows that it left finished."""
    words = [sys.executable, __file__, "--driver", address, "--source", trial.source, "--work", trial.work]
    words += ["--name", name, "--after", after, "--batch-size", trial.batch_size]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    if done.returncode != -signal.SIGKILL:
        raise SystemExit(f"the driver ended with {done.returncode}: {done.stderr}")
    parts = readable_parts(partial_path(trial.work / f"{name}.h5") / MANIFEST)
    return sum(part.stop - part.start for part in parts)


def drive(trial: Trial, name: str, address: str, after: int) -> None:
    """Build, and kill this process when so many windows are done and some are on the disk."""
    manifest = partial_path(trial.work / f"{name}.h5") / MANIFEST

    def kill() -> None:
        while not readable_parts(manifest):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)

    encoding.PART_ROWS = window_rows(trial.batch_size)
    with workers(1, address) as engine:
        trial.build(name, engine, Doing(after, kill))


def node_killer(cluster: Any) -> Callable[[], None]:
    """Kills a node as a power cut does."""
    return lambda: cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)


def run(trial: Trial, pictures: int) -> Found:
    """All of it."""
    found = Found(pictures)

    def timed(name: str, build: Callable[[], object]) -> None:
        begun = time.monotonic()
        build()
        found.seconds[name] = round(time.monotonic() - begun, 1)
        if name != "local":
            found.different[name] = trial.differences(name)

    timed("local", lambda: trial.build("local"))
    with cluster_of_nodes() as cluster:
        for count in (1, 2, 4):
            with workers(count) as engine:
                timed(f"workers-{count}", lambda count=count, engine=engine: trial.build(f"workers-{count}", engine))  # type: ignore[misc]
        found.kept_rows = killed_driver(trial, "driver-killed", cluster.address, trial.windows // 4)
        with workers(4) as engine:
            timed("driver-killed", lambda: trial.build("driver-killed", engine))
            killing = Doing(trial.windows // 3, node_killer(cluster))
            timed("node-killed", lambda: trial.build("node-killed", engine, killing))
            found.died = engine.died
    return found


def main() -> int:
    """Parse the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=64)
    for name in ("--driver", "--source", "--work", "--name"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--after", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.driver:
        trial = Trial(Path(options.source), Path(options.work), options.batch_size)
        drive(trial, options.name, options.driver, options.after)
        return 0
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):  # where Ray tells of the dead
        source = make_source(Path(folder) / "source", options.pictures)
        found = run(Trial(source, Path(folder), options.batch_size), options.pictures)
    print(json.dumps({**asdict(found), "wrong": found.wrong}))
    return int(found.wrong)


if __name__ == "__main__":
    raise SystemExit(main())
