"""Fixtures that several test modules use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from places import REPOSITORY
from sharing_out import (  # noqa: F401
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_collectstart,
    pytest_xdist_make_scheduler,
)
from surroundings import _no_settings, _one_thread  # noqa: F401

from motacli.plugins import PluginHost, load_plugins


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference results that may lie next to the repository."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no reference results: {folder.name}/ does not lie next to the repository")
    return folder


@pytest.fixture(scope="session")
def golden_features(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reference's synthetic features, one ``.npz`` per unit, made by its own script."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("golden")
    script, config = shared / "golden/make_features.py", shared / "golden/config.json"
    options = ["--benchmarks", shared / "benchmarks", "--config", config, "--out", folder]
    subprocess.run([sys.executable, script, *options], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def tiny_backbone() -> Any:
    """The embedded CLIP."""
    from motacli.tiny.clip import load_tiny

    return load_tiny()


@pytest.fixture(scope="session")
def host() -> PluginHost:
    """The built-in parts alone."""
    return load_plugins(entry_points=[])


@pytest.fixture(scope="session")
def small_ablation(tmp_path_factory: pytest.TempPathFactory, host: PluginHost, tiny_backbone: Any) -> Path:
    """The folder of an ablation whose tiny world is drawn, on a few dozen pictures; tests work on copies of it."""
    from small_world import small_worlds

    from motacli.ablation import TinyWorld
    from motacli.console import NullProgress
    from motacli.runs import write_json

    out = tmp_path_factory.mktemp("ablation")
    with small_worlds():
        for split in ("test", "val"):
            TinyWorld(split=split).prepare(host, out, tiny_backbone, NullProgress())
    write_json(out / "ablation.json", {"format": 1})
    return out
