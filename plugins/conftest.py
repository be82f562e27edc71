"""The packages beside this file, importable and registered as if they were installed."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from surroundings import _no_settings, _one_thread  # noqa: F401

from motacli.plugins import GROUP, PluginHost, load_plugins

PROJECTS = sorted(Path(__file__).parent.glob("*/pyproject.toml"))
sys.path[:0] = [str(project.parent) for project in PROJECTS]


@pytest.fixture(scope="session")
def host() -> PluginHost:
    """The built-in parts and every package here, by the entry points of its pyproject.toml."""
    read = [tomllib.loads(project.read_text("utf-8"))["project"] for project in PROJECTS]
    points = {name: target for one in read for name, target in one["entry-points"][GROUP].items()}
    return load_plugins(entry_points=[], modules={name: import_module(target) for name, target in points.items()})
