"""What a process of its own says about allocations of known size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from motacli.bench import memory
from motacli.bench.memory import CLEAR_REFS, measure, peak_memory
from motacli.errors import MotaError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell peak memory in our way")


def filled(megabytes: float) -> np.ndarray:
    return np.ones(round(megabytes * 1e6), dtype=np.uint8)


def prepare(*, garbage: float, inputs: float, work: float) -> Callable[[], object]:
    """Work on ``inputs`` MB that takes ``work`` MB more; making the inputs leaves so much garbage."""
    filled(garbage)
    kept = filled(inputs)
    return lambda: len(filled(work)) + len(kept)


def fail() -> Callable[[], object]:
    raise ValueError("no inputs\ntoday")


def test_a_known_allocation_is_seen() -> None:
    peak = peak_memory(partial(prepare, garbage=0, inputs=100, work=200))
    assert peak.added_mb == pytest.approx(200, abs=10)
    assert 300 < peak.total_mb < 500


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="this system cannot forget a peak")
def test_neither_garbage_of_the_inputs_nor_this_process_counts() -> None:
    here = filled(400)
    peak = peak_memory(partial(prepare, garbage=200, inputs=0, work=50))
    assert peak.added_mb == pytest.approx(50, abs=10)
    assert 200 < peak.total_mb < 350 and here[0]


def test_a_failing_process_is_an_error_of_one_line() -> None:
    with pytest.raises(MotaError, match=r"failed: today$"):
        peak_memory(fail)


def test_systems_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "missing" / "clear_refs")
    peak = measure(partial(prepare, garbage=0, inputs=0, work=1))
    assert peak.total_mb > 10 and peak.added_mb >= 0
