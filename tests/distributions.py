"""Plugins as pip leaves them behind: a module, and a ``.dist-info`` with its entry point, in a folder on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from places import REPOSITORY

INVERSION = """
from motacli import hookimpl

@hookimpl
def register_inversions(register):
    register({name!r}, {target!r}, summary="for tests")
"""
"""A module that offers one inversion; to be filled with ``name`` and ``target``."""


def install(folder: Path, name: str, source: str) -> None:
    """Write the distribution of a plugin ``name`` whose module has this source."""
    module = name.replace("-", "_")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[mota]\n{name} = {module}\n")
    (folder / f"{module}.py").write_text(source)


def python(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these distributions and this repository on its path, and no settings."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("MOTA_")}
    path = os.pathsep.join([str(REPOSITORY), str(installed)])
    environment = {**plain, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
