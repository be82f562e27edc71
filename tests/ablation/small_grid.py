"""A grid that runs in seconds, and copies of the drawn world to run it on."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from motacli.ablation import Ablation, Grid, Row, TinyWorld, make_grid, vary_spec
from motacli.plugins import PluginHost

TRAIN = {"steps": 3, "batch_size": 16, "warmup": 1}
SHOWN = {"cirr": "R@10", "genecis": "R@1"}
"""The benchmarks of a small ablation, and their metrics."""


def small_grid(host: PluginHost, *vary: str, **train: Any) -> Grid:
    """The full method and what varies, a few steps each."""
    return make_grid(host, vary_spec(vary or ["experts=1,4"]), {**TRAIN, **train})


def small(host: PluginHost, *vary: str, **more: Any) -> Ablation:
    """One network, two seeds, two benchmarks."""
    return Ablation(small_grid(host, *vary), TinyWorld(benchmarks=tuple(SHOWN)), ("lincir",), seeds=(0, 1), **more)


def copied(world: Path, out: Path) -> Path:
    """A folder of an ablation with the same world and no jobs."""
    return Path(shutil.copytree(world, out))


def jobs(out: Path) -> list[str]:
    """The folders of all jobs."""
    return sorted(path.name for path in (out / "jobs").iterdir())


def values(rows: list[Row] | list[dict[str, Any]]) -> Any:
    """The rows without what depends on the clock."""
    plain = [row if isinstance(row, dict) else asdict(replace(row, seconds=0)) for row in rows]
    return json.loads(json.dumps([{**row, "seconds": 0} for row in plain]))
