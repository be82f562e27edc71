"""`mota bench` from outside, on cases small enough for a test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from motacli.bench import evaluation, harness
from motacli.bench.memory import Peak
from motacli.cli import main
from motacli.errors import MotaError
from motacli.plugins import PluginHost


@pytest.fixture(autouse=True)
def _small_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: dict[str, Any] = evaluation.CASES  # type: ignore[assignment]
    monkeypatch.setattr(evaluation, "CASES", {name: case.scaled(0.005) for name, case in cases.items()})


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "peak_memory", lambda side: Peak(1.0 if side.name == "ours" else 4.0, 50.0))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "SETTLING", 0.0)


def test_json(host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "eval", "--case", "cirr-val", "--repeats", "2", "--json"], host=host) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == "" and set(report) == {"cases", "machine"}
    (case,) = report["cases"]
    assert {"name": "cirr-val", "repeats": 2, "queries": 21, "gallery": 64, "dim": 768}.items() <= case.items()
    assert case["speedup"] == pytest.approx(case["baseline_seconds"] / case["seconds"])
    assert len(case["seconds_range"]) == len(case["baseline_seconds_range"]) == 2
    assert 10 < case["total_peak_mb"] < case["baseline_total_peak_mb"]
    assert {"memory_ratio", "peak_mb", "baseline_peak_mb", "near_ties"} <= set(case)
    assert set(report["machine"]) == {"cpu", "cores", "threads", "ram_gb", "platform", "versions"}
    assert set(report["machine"]["versions"]) == {"mota", "python", "numpy", "torch"}


def test_a_table_of_all_cases(host: PluginHost, no_processes: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "eval", "--repeats", "1"], host=host) == 0
    captured = capsys.readouterr()
    head, *rows = [line.split() for line in captured.out.splitlines()]
    assert head[:5] == ["name", "speedup", "seconds", "baseline_seconds", "memory_ratio"]
    assert [row[0] for row in rows] == ["cirr-val", "fashioniq", "circo"] and all(row[4] == "0.25" for row in rows)
    assert "cores" in captured.err and captured.err.count("\n") == 1


def test_quiet(host: PluginHost, no_processes: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "eval", "--case", "circo", "--repeats", "1", "--quiet"], host=host) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.count("\n") == 2


def test_no_numbers_where_the_sides_differ(
    host: PluginHost, no_processes: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def differ(*_: object) -> int:
        raise MotaError("cirr_val: R@1 is 1.0 and 2.0")

    monkeypatch.setattr(evaluation, "near_ties", differ)
    assert main(["bench", "eval", "--repeats", "1", "--json"], host=host) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "error: cirr_val: R@1 is 1.0 and 2.0\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["evla"], "unknown bench 'evla' (did you mean 'eval'?)"),
        (["eval", "--case", "cirr"], "unknown case of eval 'cirr' (did you mean 'cirr-val'?)"),
        (["eval", "--repeats", "0"], "'--repeats'"),
        ([], "'NAME'"),
    ],
)
def test_mistakes(argv: list[str], said: str, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *argv], host=host) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and captured.err.count("\n") == 1
