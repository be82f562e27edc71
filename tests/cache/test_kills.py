"""The script that kills builders, in short."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from places import REPOSITORY


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks its builders")
@pytest.mark.parametrize("layout", ["single", pytest.param("parts", marks=pytest.mark.thorough)])
def test_kills_at_random_moments(layout: str) -> None:
    script = REPOSITORY / "tests" / "cache" / "kills.py"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, str(script), "--kills", "5", "--layout", layout, "--seed", "1"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout or "{}")
    assert done.returncode == 0 and found["kills"] == 5 and found["finished_builds"] >= 1, (found, done.stderr)
