"""What the tests of the packages here share: each package's folder is importable without being installed."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from motacli.plugins import PluginHost, load_plugins

PACKAGES = sorted(path.parent for path in Path(__file__).parent.glob("*/pyproject.toml"))
sys.path[:0] = map(str, PACKAGES)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see neither the user's MOTA_ variables nor the plugins that happen to be installed."""
    import os

    for name in [name for name in os.environ if name.startswith("MOTA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MOTA_PLUGINS", "")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks as small as the tests' only get slower when threads fight for busy cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def everything() -> PluginHost:
    """A host with all packages here, as their entry points say."""
    modules = {}
    for package in PACKAGES:
        project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
        modules |= {name: import_module(module) for name, module in project["entry-points"]["mota"].items()}
    return load_plugins(entry_points=[], modules=modules)
