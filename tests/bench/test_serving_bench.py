"""`mota bench serve` in miniature: a server answers as Python does, and a side that does not is found out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from motacli.bench import find_cases, serving
from motacli.bench.http_load import resident_mb
from motacli.bench.serving import ServingCase, asked
from motacli.errors import MotaError

pytest.importorskip("fastapi", reason="mota serve needs mota[serve]")


@pytest.mark.thorough
def test_both_sides_agree_and_others_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PICTURES", 40)
    monkeypatch.setattr(serving, "QUERIES", 9)
    case = ServingCase("http-4", requests=24, clients=4)
    inputs = case.inputs(0)
    ours, baseline = case.ours(inputs)(), asked(inputs, case.requests)
    assert case.check(inputs, ours, baseline) == 0
    figures = case.figures(1.0, 1.0)
    assert 0 < figures["p50_ms"] <= figures["p95_ms"] and figures["server_mb"] > 50
    assert len(ours.seconds) == 24 and len(ours.rankings) == len(baseline) == 9 and len(set(baseline)) > 4
    wrong = [replace(ours, errors=("500",)), replace(ours, seconds=ours.seconds[:-1]), replace(ours, rankings=())]
    for found in wrong:
        with pytest.raises(MotaError, match="http-4"):
            case.check(inputs, found, baseline)


def test_the_real_case_has_many_clients() -> None:
    [case] = find_cases("serve")
    assert case.sizes["clients"] == 32 and resident_mb(-1) == 0.0
