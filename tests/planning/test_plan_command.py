"""`mota plan` and `mota plan measure` from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from llm_server import LLMServer
from places import REPOSITORY

from motacli.cli import main
from motacli.errors import MotaError
from motacli.planning.measuring import starting
from motacli.planning.measuring.timing import LEAST, PhaseClock, rate_of, slopes
from motacli.planning.rates import Rates
from motacli.planning.rates_file import read_rates
from motacli.plugins import PluginHost

RATES = str(REPOSITORY / "examples" / "rates.toml")


def run(capsys: pytest.CaptureFixture[str], host: PluginHost, *argv: str) -> tuple[int, str, str]:
    code = main(["plan", *argv], host=host)
    found = capsys.readouterr()
    return code, found.out, found.err


def test_the_table_marks_the_bottleneck(capsys: pytest.CaptureFixture[str], host: PluginHost) -> None:
    asked = ("--rates", RATES, "--pictures", "3e6", "--triplets", "3M", "--gpus", "8", "--cores", "64")
    code, out, _ = run(capsys, host, *asked, "--price-per-gpu-hour", "2.5", "--stages", "cache,triplets")
    lines = out.splitlines()
    assert code == 0 and lines[0].split()[:4] == ["stage", "step", "time", "share"]
    (marked,) = [line for line in lines if line.endswith("<-- bottleneck")]
    assert marked.startswith("cache     pictures") and "gpus (encode + rows)" in marked and "decode 3.91 min" in marked
    assert any(line.startswith("bottleneck: cache, pictures") for line in lines)
    assert "7 of 8 GPUs stand idle while pictures are encoded" in lines
    assert "rates from" in lines[-1] and "assumed" in lines[-1]


def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str], host: PluginHost) -> None:
    asked = ("--rates", RATES, "--pictures", "400M", "--triplets", "4M", "--generator", "vllm", "--gpus", "64")
    code, out, _ = run(capsys, host, *asked, "--engine", "ray", "--remote", "tar", "--price", "0.1,0.2", "--json")
    found = json.loads(out)
    assert code == 0 and found["workload"]["pictures"] == 400_000_000
    assert found["seconds"] == pytest.approx(sum(step["seconds"] for step in found["steps"]))
    assert found["cost"] == pytest.approx(sum(step["cost"] for step in found["steps"]))
    assert [step["bottleneck"] for step in found["steps"]].count(True) == 1
    assert found["rates"]["read.bytes_per_second_per_machine"]["on"] == "assumed"
    asking = next(step for step in found["steps"] if step["step"] == "vllm")
    tokens = asking["prompt_tokens"] * 0.1 + asking["completion_tokens"] * 0.2
    assert asking["cost"] == pytest.approx(tokens / 1e6)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--pictures", "lots"), "--pictures 'lots' is no whole number"),
        (("--pictures", "0"), "at least one picture"),
        (("--pictures", "1", "--triplets", "-1"), "--triplets '-1' is no whole number"),
        (("--pictures", "1", "--stages", "cahce"), "did you mean 'cache'"),
        (("--pictures", "1", "--stages", "train"), "give --triplets"),
        (("--pictures", "1", "--price", "3"), "--price '3' is not two numbers"),
        (("--pictures", "1", "--price", "3,-1"), "must not be negative"),
        (("--pictures", "1"), "has no encode.pictures_per_second_per_core, which the stage 'cache' needs"),
    ],
)
def test_what_is_wrong_is_told(
    capsys: pytest.CaptureFixture[str], host: PluginHost, argv: tuple[str, ...], said: str
) -> None:
    code, out, err = run(capsys, host, "--rates", RATES, *argv)
    assert (code, out) == (2, "") and said in err


def test_a_plan_needs_no_torch() -> None:
    code = (
        "import sys; from motacli.cli import main; "
        f"code = main(['plan', '--rates', {RATES!r}, '--pictures', '9', '--gpus', '1']); "
        "sys.exit(code or 'torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=REPOSITORY, check=False).returncode == 0
    )


def test_phases_and_slopes() -> None:
    clock = PhaseClock()
    assert list(clock.track([1, 2], "a")) == [1, 2]
    for _ in clock.track([1, 2], lambda: "b"):
        break
    assert clock.made <= clock.begun["a"] <= clock.ended["a"] <= clock.begun["steps"] <= clock.ended["steps"]
    assert slopes([(1.0, 3.0), (2.0, 2.0)], 4) == [0.5, LEAST]
    rate = rate_of([0.5, 0.25, 0.2], "here", units=2)
    assert (rate.value, rate.low, rate.high, rate.on) == (2.0, 1.0, 2.5, "here")


def measured_rates(path: Path, host: PluginHost, *more: str) -> Rates:
    """Rates of this machine, on so few rows that they say little."""

    def run_here(command: Sequence[str]) -> None:
        assert main(command, host=host) == 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starting, "_run", run_here)  # in this process: to start others takes many seconds
        argv = ["plan", "measure", "-o", str(path), "--rows", "72", "--runs", "1", "--batch-size", "16"]
        assert main([*argv, *more], host=host) == 0
    return read_rates(path)


def test_measured_rates_make_a_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: PluginHost, tiny_backbone: Any
) -> None:
    path = tmp_path / "rates.toml"
    with LLMServer() as server:
        model = ("--llm-url", server.url, "--llm-model", "x", "--llm-rows", "16", "--concurrency", "4")
        rates = measured_rates(path, host, "--stages", "cache,triplets", *model)
    assert rates.values["llm.prompt_tokens_per_request"].value == 100  # what the server says of each
    assert rates.values["llm.latency_seconds"].value > 0
    decoded = rates.values["decode.pictures_per_second_per_core"]
    assert decoded.on == "cache" and rates.conditions["cache"]["fingerprint"] == tiny_backbone.fingerprint()
    told = {"model", "device", "batch_size", "threads", "workers", "versions", "date", "cpu", "rows", "runs"}
    assert all(told <= set(condition) for condition in rates.conditions.values())
    assert {rate.on for rate in rates.values.values()} == set(rates.conditions)
    capsys.readouterr()
    asked = ("--pictures", "12000", "--triplets", "9000", "--stages", "cache,triplets", "--json")
    for generator in ("rules", "llm"):
        code, out, _ = run(capsys, host, "--rates", str(path), *asked, "--generator", generator)
        found = json.loads(out)
        assert code == 0 and {step["stage"] for step in found["steps"]} == {"cache", "triplets"}
    assert found["rates"]["data.joint_dim"]["value"] == tiny_backbone.joint_dim
    code, _, err = run(capsys, host, "measure", "-o", str(path))
    assert code == 1 and "exists already" in err


@pytest.mark.thorough
def test_everything_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str], host: PluginHost) -> None:
    path = tmp_path / "rates.toml"
    measured_rates(path, host)
    capsys.readouterr()
    code, out, _ = run(capsys, host, "--rates", str(path), "--pictures", "12000", "--triplets", "9000", "--json")
    assert code == 0 and {step["stage"] for step in json.loads(out)["steps"]} >= {"train", "inversion", "index", "eval"}


def test_a_command_is_started_and_its_failure_told() -> None:
    starting._run(["--version"])
    with pytest.raises(MotaError, match="`mota cach` failed when it was measured: no such command"):
        starting._run(["cach"])


def test_too_few_rows_are_told(capsys: pytest.CaptureFixture[str], host: PluginHost, tmp_path: Path) -> None:
    (tmp_path / "captions.jsonl").write_text('{"image": "a.png", "caption": "a car"}\n')
    argv = ("measure", "-o", str(tmp_path / "r.toml"), "--pictures", str(tmp_path), "--rows", "64")
    code, _, err = run(capsys, host, *argv)
    assert code == 1 and "has 1 rows, and 64 are to be measured" in err
