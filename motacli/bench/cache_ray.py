"""What the way to the workers of a cluster costs: a cache by Ray on this machine, beside the same by this process."""

from __future__ import annotations

import atexit
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from motacli.bench.cache_encoding import BATCH, PictureInputs
from motacli.bench.harness import Work
from motacli.cache import build_cache
from motacli.cache.batching import window_rows
from motacli.cache.encoder import Engine, in_this_process
from motacli.cluster.asking import ClusterOptions
from motacli.cluster.caching import RayEngine, ray_engine
from motacli.cluster.ray_cluster import BackboneMaker
from motacli.contracts import ImageRef
from motacli.coworkers import available_cores
from motacli.errors import MotaError
from motacli.models import BackboneChoice
from motacli.tiny.clip import load_tiny

_DISTINCT = 256
"""Pictures that are drawn; more ids share them."""


@dataclass(frozen=True)
class RayCase:
    """Small pictures through the tiny CLIP, by one worker that has all cores, and by this process.

    Ray is started before, and the time that takes is told apart. Memory is that of this process alone.
    """

    name: str
    pictures: int

    @property
    def sizes(self) -> Mapping[str, int]:
        """Pictures, and those who decode on either side."""
        return {"pictures": self.pictures, "batch": BATCH, "workers": available_cores()}

    @property
    def counted(self) -> tuple[str, int]:
        """The pictures of one run."""
        return "images", self.pictures

    def figures(self, seconds: float, baseline_seconds: float) -> Mapping[str, float]:
        """By how much longer it takes, as a share; and the seconds until Ray and its worker are there."""
        return {"overhead": seconds / baseline_seconds - 1, "start_seconds": _started()[1]}

    def inputs(self, seed: int) -> PictureInputs:
        """Pictures of noise."""
        folder, rng = tempfile.TemporaryDirectory(), np.random.default_rng(seed)
        paths = [Path(folder.name) / f"{number:03}.png" for number in range(_DISTINCT)]
        for path in paths:
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        refs = [ImageRef(f"{number:09}", paths[number % _DISTINCT]) for number in range(self.pictures)]
        return PictureInputs(folder, load_tiny(), refs)

    def ours(self, inputs: PictureInputs) -> Work:
        """By Ray, once its worker has encoded a window."""
        engine, _ = _started()
        _built(inputs, engine, window_rows(BATCH))
        return lambda: _built(inputs, engine)

    def baseline(self, inputs: PictureInputs) -> Work:
        """By this process."""
        return lambda: _built(inputs, in_this_process)

    def check(self, inputs: PictureInputs, ours: np.ndarray, baseline: np.ndarray) -> int:
        """Both sides computed the same bits."""
        if len(ours) != self.pictures or not np.array_equal(ours, baseline):
            raise MotaError(f"{self.name}: the two sides found different features")
        return 0


def _built(inputs: PictureInputs, engine: Engine, pictures: int | None = None) -> np.ndarray:
    how = {"batch_size": BATCH, "workers": available_cores()}
    return build_cache(inputs.out, inputs.backbone, inputs.refs[:pictures], engine=engine, **how).features()  # type: ignore[arg-type]


@cache
def _started() -> tuple[RayEngine, float]:
    """An engine for as long as this process runs, and the seconds until its worker had encoded a picture."""
    begun, until_exit = time.perf_counter(), ExitStack()
    maker = BackboneMaker(BackboneChoice("tiny", device="cpu"))
    stdout = sys.stdout
    engine = until_exit.enter_context(ray_engine(maker, ClusterOptions(workers=1)))
    sys.stdout = stdout  # which the engine keeps for itself as long as it is there
    atexit.register(until_exit.close)  # after Ray's own, which runs behind it
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.png"
        Image.new("RGB", (64, 64)).save(path)
        one = PictureInputs(tempfile.TemporaryDirectory(), load_tiny(), [ImageRef("one", path)])
        _built(one, engine)
    return engine, time.perf_counter() - begun
