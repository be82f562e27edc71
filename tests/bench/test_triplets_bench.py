"""`mota bench gen-triplets`: both sides ask the same server and get the same answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from motacli.bench import harness, triplets
from motacli.bench.harness import Timing, summarize
from motacli.bench.memory import Peak
from motacli.bench.triplets import LoopbackCase
from motacli.cli import main
from motacli.errors import MotaError
from motacli.plugins import PluginHost

SMALL = LoopbackCase("loopback", rows=40, in_flight=8, latency_ms=1)


def test_both_sides_get_the_servers_answer() -> None:
    inputs = SMALL.inputs(0)
    ours, bare = SMALL.ours(inputs), SMALL.baseline(inputs)
    for _ in range(2):
        found = ours(), bare()
        assert SMALL.check(inputs, *found) == 0 and found[0] == {"a red one on a wooden table, seen from above"}
    with pytest.raises(MotaError, match="different answers"):
        SMALL.check(inputs, {"another"}, found[1])


def test_every_row_is_asked_once_and_written_once() -> None:
    inputs = SMALL.inputs(0)
    assert SMALL.ours(inputs)() is not None
    (meta,) = [json.loads(path.read_text()) for path in triplets.Path(inputs.folder.name).glob("*.meta.json")]
    assert (meta["rows"], meta["triplets"], meta["requests"]) == (40, 40, 40)


def test_the_server_ends_with_the_inputs() -> None:
    inputs = SMALL.inputs(0)
    process = inputs.server.process
    assert process.poll() is None
    del inputs
    assert process.wait(10) is not None


def test_the_command_prints_the_common_form(
    host: PluginHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timing, peak = Timing((1.0,), (0.9,), (None, None)), Peak(5.0, 60.0)
    case = replace(SMALL, rows=900)
    monkeypatch.setattr(harness, "compare_all", lambda cases, **_: [summarize(case, timing, peak, peak, 0)])
    assert main(["bench", "gen-triplets", "--json"], host=host) == 0
    (row,) = json.loads(capsys.readouterr().out)["cases"]
    assert row["speedup"] == pytest.approx(0.9) and row["requests_per_second"] == 900
    assert row["baseline_requests_per_second"] == 1000 and row["ideal_requests_per_second"] == 8000
    expected: Any = {"rows": 900, "in_flight": 8, "latency_ms": 1}
    assert expected.items() <= row.items()
