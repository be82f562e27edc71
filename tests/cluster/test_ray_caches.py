"""Caches by the workers of a cluster of several nodes: the bits of the local engine, whoever dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import REPOSITORY

pytest.importorskip("ray")

from ray_caches import Doing, Trial, cluster_of_nodes, killed_driver, make_source, node_killer, workers

from motacli.bench import cache_ray
from motacli.bench.cache_ray import RayCase
from motacli.bench.harness import compare
from motacli.bench.memory import Peak
from motacli.cache import CacheOptions, FeatureCache, build_cache
from motacli.cache.broken import read_broken
from motacli.cache.encoder import Recipe
from motacli.cli import main as mota
from motacli.cluster import ClusterOptions, caching
from motacli.cluster.caching import RayEngine, ray_engine
from motacli.cluster.ray_cluster import BackboneMaker
from motacli.contracts import ImageRef
from motacli.datasets import open_source
from motacli.errors import DataError, MotaError
from motacli.models import BackboneChoice
from motacli.plugins import PluginHost

PICTURES, BATCH = 300, 2
LENIENT = CacheOptions(strict=False)
MAKER = BackboneMaker(BackboneChoice("tiny"))


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("caches")
    made = Trial(make_source(folder / "source", PICTURES), folder, BATCH)
    made.build("local")
    return made


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with cluster_of_nodes() as made:
        yield made


@pytest.fixture(scope="module")
def engine(cluster: Any) -> Iterator[RayEngine]:
    with workers(2) as made:
        yield made


def test_workers_compute_the_same_bits(trial: Trial, engine: RayEngine) -> None:
    assert trial.differences(trial.build("workers", engine).stem) == []
    assert FeatureCache(trial.work / "workers.h5").skipped == 3


@pytest.mark.thorough
def test_pictures_decoded_in_processes(trial: Trial, engine: RayEngine, tmp_path: Path) -> None:
    options = CacheOptions(strict=False, decode="processes", layout="parts", dtype="float16")
    how: dict[str, Any] = {"batch_size": BATCH, "workers": 1, "options": options}
    made = [
        build_cache(tmp_path / f"{name}.h5", MAKER(), open_source(trial.source), **how, **given)
        for name, given in {"local": {}, "ray": {"engine": engine}}.items()
    ]
    assert np.array_equal(made[0].features(), made[1].features())
    assert np.array_equal(made[0].text_features(), made[1].text_features())


def test_strict_stops_at_a_broken_picture(trial: Trial, engine: RayEngine, tmp_path: Path) -> None:
    for _ in range(3):  # what was under way does not count as work for the next
        with pytest.raises(DataError, match=r"cannot decode .*00\.png: image file is truncated"):
            build_cache(tmp_path / "f.h5", MAKER(), open_source(trial.source), batch_size=BATCH, engine=engine)


def test_pictures_that_only_this_machine_has(
    trial: Trial, engine: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, there = ImageRef("gone", tmp_path / "gone.png"), ImageRef("a", trial.source / "images/000001.png")
    made = build_cache(tmp_path / "f.h5", MAKER(), [gone, there], engine=engine, options=LENIENT)
    assert made.ids == ("a",) and made.skipped == 1  # as on one machine: nobody has it
    monkeypatch.setattr(caching, "picture_exists", lambda ref: True)
    with pytest.raises(MotaError, match=r"does not find .*gone\.png.*within reach of every machine"):
        build_cache(tmp_path / "g.h5", MAKER(), [gone, there], engine=engine, options=LENIENT)


def test_relative_paths_and_the_command(
    trial: Trial, engine: RayEngine, monkeypatch: pytest.MonkeyPatch, host: PluginHost
) -> None:
    monkeypatch.chdir(trial.source.parent)
    monkeypatch.setattr(caching, "ray_engine", lambda *asked: nullcontext(engine))  # whose workers are there already
    words = ["cache", trial.source.name, "-o", str(trial.work / "command.h5"), "--batch-size", str(BATCH), "--quiet"]
    assert mota([*words, "--engine", "ray", "--ray-workers", "2"], host=host) == 0
    assert trial.differences("command") == ["errors"]  # which tells of relative paths
    assert [Path(one.path).is_absolute() for one in read_broken(trial.work / "command.h5")] == [False] * 3


def test_no_room(cluster: Any) -> None:
    with (
        ray_engine(MAKER, ClusterOptions(gpus_per_worker=3)) as engine,
        pytest.raises(MotaError, match="no room for a worker, which takes 1 CPUs and 3 GPUs"),
    ):
        engine(MAKER(), Recipe(BATCH, 0, True))


def test_another_backbone_is_refused(engine: RayEngine, trial: Trial, tmp_path: Path) -> None:
    class Other:
        def __getattr__(self, name: str) -> Any:
            return getattr(MAKER(), name)

        def fingerprint(self) -> str:
            return "0" * 16

    with pytest.raises(MotaError, match=r"the backbone is another one there, 'tiny' \(.*\), not 'tiny' \(0{16}\)"):
        build_cache(tmp_path / "f.h5", Other(), open_source(trial.source), engine=engine, options=LENIENT)  # type: ignore[arg-type]


def test_the_bench(engine: RayEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_ray, "_started", lambda: (engine, 1.5))
    monkeypatch.setattr(cache_ray, "available_cores", lambda: 1)
    monkeypatch.setattr("motacli.bench.harness.peak_memory", lambda side: Peak(1, 2))
    monkeypatch.setattr("motacli.bench.harness.SETTLING", 0.0)
    found = compare(RayCase("ray", 70), repeats=1)
    assert found.figures["start_seconds"] == 1.5
    assert found.figures["overhead"] == pytest.approx(found.seconds / found.baseline_seconds - 1)
    inputs = RayCase("ray", 3).inputs(0)
    with pytest.raises(MotaError, match="different features"):
        RayCase("ray", 3).check(inputs, np.zeros((3, 2)), np.ones((3, 2)))


@pytest.mark.thorough
def test_a_killed_driver(trial: Trial, cluster: Any, engine: RayEngine) -> None:
    kept = killed_driver(trial, "driver", cluster.address, after=3)
    progress = Doing()
    assert trial.differences(trial.build("driver", engine, progress).stem) == []
    assert progress.told == [f"going on after {kept} of {PICTURES} pictures"]


def test_a_killed_node(trial: Trial, cluster: Any, engine: RayEngine) -> None:
    """The last test: half of the workers are gone, and for their successors there may be no room."""
    progress = Doing(3, node_killer(cluster))
    assert trial.differences(trial.build("node", engine, progress).stem) == []
    assert engine.died


@pytest.mark.thorough
def test_at_length() -> None:
    script = REPOSITORY / "tests" / "cluster" / "ray_caches.py"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, str(script), "--pictures", "20000"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout or "{}")
    assert done.returncode == 0 and not found["wrong"], (found, done.stderr)
