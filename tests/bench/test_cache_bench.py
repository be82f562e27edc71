"""`mota bench cache` in miniature: both sides do the work, and a side that does something else is found out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from motacli.bench import cache_encoding, cache_rows, find_cases
from motacli.bench.cache_encoding import EncodingCase, MemoryCase
from motacli.bench.cache_rows import ReadingCase, WritingCase
from motacli.bench.harness import compare
from motacli.bench.memory import Peak
from motacli.bench.random_clip import MINIATURE, Architecture, VisionShape
from motacli.cache import CacheOptions, FeatureCache, build_cache
from motacli.errors import MotaError


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Architecture(MINIATURE, VisionShape(1, 32, 32, 32, 64))
    monkeypatch.setattr(cache_encoding, "architecture", lambda name: shape)
    monkeypatch.setattr(cache_encoding, "available_cores", lambda: 1)
    monkeypatch.setattr("motacli.bench.harness.peak_memory", lambda side: Peak(1, 2))
    monkeypatch.setattr("motacli.bench.harness.SETTLING", 0.0)


CASES: list[Any] = [
    EncodingCase("encode", "mini", 9),
    MemoryCase("memory", 70),
    WritingCase("write", 5000),
    ReadingCase("read", 5000, 300),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_sides_agree(case: Any) -> None:
    found = compare(case, repeats=1)
    assert found.seconds > 0 and found.baseline_seconds > 0
    names = {"encode": "share_of_ceiling", "write": "share_of_disk"}
    assert all(value > 0 for value in found.own.values()) and names.get(case.name, "") in {*found.own, ""}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_other_results_are_found_out(case: Any) -> None:
    inputs = case.inputs(0)
    ours, baseline = case.ours(inputs)(), case.baseline(inputs)()
    wrong = ours + 1 if isinstance(ours, np.ndarray) or case.name == "memory" else 0
    with pytest.raises(MotaError, match=case.name):
        case.check(inputs, wrong, baseline)
    case.check(inputs, ours, baseline)


def test_the_real_cases_are_those_of_the_issue() -> None:
    cases = {case.name: case for case in find_cases("cache")}
    assert cases["encode"].sizes["pictures"] == 2000 and cases["write"].sizes["megabytes"] == 1536
    assert cases["read"].sizes["picked"] == 4096 and cache_rows.WIDTH == 768
    decoders = {name: case.decode for name, case in cases.items() if isinstance(case, EncodingCase)}
    assert decoders == {"encode": "threads", "encode-processes": "processes"}
    assert {"memory-1000", "memory-10000", "memory-100000"} < set(cases)


def test_ours_are_decoded_as_the_case_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[CacheOptions] = []

    def noted(*given: Any, options: CacheOptions, **how: Any) -> FeatureCache:
        asked.append(options)
        return build_cache(*given, **how)

    monkeypatch.setattr(cache_encoding, "build_cache", noted)
    case = EncodingCase("encode-processes", "mini", 2, decode="processes")
    assert len(case.ours(case.inputs(0))()) == 2 and [options.decode for options in asked] == ["processes"]
