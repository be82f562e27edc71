"""The script that kills updates of an index, in short."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from places import REPOSITORY


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks its builders")
@pytest.mark.parametrize(
    ("kills", "first"),
    [
        pytest.param(4, [], id="update"),
        pytest.param(8, [], id="update, longer", marks=pytest.mark.thorough),
        pytest.param(8, ["--first"], id="first build", marks=pytest.mark.thorough),
    ],
)
def test_kills_at_random_moments(kills: int, first: list[str]) -> None:
    script = REPOSITORY / "tests" / "search" / "update_kills.py"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, str(script), "--kills", str(kills), "--seed", "2", *first]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout or "{}")
    assert done.returncode == 0 and found["kills"] == kills and found["different"] == [], (found, done.stderr)
    assert found["of_them_by_step"] == kills // 2 and found["encoded_by_killed"] >= 1
