"""`mota gen-triplets` with a language model, as a process: killed, interrupted, with a secret."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from llm_server import FAULTS, LLMServer, mixed

from motacli.cli import main
from motacli.plugins import PluginHost

MARK = "sk-marked-0123456789abcdef"


def source(folder: Path, count: int) -> Path:
    path = folder / "data.jsonl"
    lines = ({"id": f"r{i}", "image": f"{i}.jpg", "caption": f"a dog number {i}"} for i in range(count))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def command(data: Path, out: Path, server: LLMServer, *more: str) -> list[str]:
    where = ["--llm-url", server.url, "--llm-model", "m", "--concurrency", "8"]
    return ["gen-triplets", str(data), "-o", str(out), "--generator", "llm", *where, *more]


def process(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "motacli", *arguments]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def lines(out: Path) -> set[str]:
    found = out.read_text().splitlines()
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.thorough)])
def test_killed_again_and_again_it_writes_what_an_undisturbed_run_writes(
    kills: int, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    data, rng = source(tmp_path, 300 * kills), random.Random(5)
    with LLMServer(mixed(0.02), latency=0.01) as server:
        assert main(command(data, tmp_path / "whole.jsonl", server, "--quiet"), host=host) == 0
        out, unfinished = tmp_path / "killed.jsonl", 0
        rows = out.with_name("killed.jsonl.rows.partial")
        for kill in range(kills):
            before = rows.stat().st_size if rows.exists() else 0
            running = process(command(data, out, server, "--quiet"))
            # At a moment of its own within the first part of the work: before it, or while some rows are written.
            until = time.monotonic() + 20
            if kill % 2:
                while running.poll() is None and time.monotonic() < until:
                    if rows.exists() and rows.stat().st_size > before:
                        break
                    time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.3))
            running.send_signal(signal.SIGKILL)
            assert running.wait() in (-9, 0)
            running.communicate()
            unfinished += not out.exists()
        assert unfinished > kills / 2
        assert main(command(data, out, server, "--quiet"), host=host) == 0
    assert lines(out) == lines(tmp_path / "whole.jsonl") and len(lines(out)) == 300 * kills
    rejects = [tmp_path / f"{name}.rejects.jsonl" for name in ("whole", "killed")]
    assert lines(rejects[0]) == lines(rejects[1]) == set()
    assert not list(tmp_path.glob("*.partial"))


def test_ctrl_c_keeps_what_was_under_way_and_says_how_to_go_on(tmp_path: Path, host: PluginHost) -> None:
    data, out = source(tmp_path, 500), tmp_path / "t.jsonl"
    with LLMServer(latency=0.2) as server:
        running = process(command(data, out, server))
        while not server.bodies:
            time.sleep(0.01)
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
        asked = set(server.asked)
        assert running.returncode == 130 and "error: interrupted" in said and "same command" in said
        kept = [json.loads(line)["reference_caption"] for line in out.with_name("t.jsonl.partial").open()]
        assert sorted(kept) == sorted(asked)
        server.latency = 0
        assert main(command(data, out, server), host=host) == 0
        assert max(server.asked.values()) == 1 and len(lines(out)) == 500


def test_the_key_is_nowhere(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in what is written, printed, logged or raised, even where the server quotes it."""
    data = source(tmp_path, 40)
    said = ""
    with LLMServer({"quotes the key": 0.3, "not JSON": 0.1}) as server:
        for key in ("MOTA_LLM_API_KEY", "OPENAI_API_KEY"):
            out = tmp_path / key / "t.jsonl"
            for more in ((), ("--json",), ("--debug",)):
                flags = ["--option", "asking.backoff=0.01", "--attempts", "2", *more]
                with monkeypatch.context() as patch:
                    patch.setenv(key, MARK)
                    main(command(data, out, server, *flags), host=host)
                said += "".join(capsys.readouterr())
        assert all(headers["Authorization"] == f"Bearer {MARK}" for headers in server.headers)
    with LLMServer(always=FAULTS["quotes the key"]) as server:
        flags = ["--option", "asking.backoff=0.01", "--attempts", "2", "--debug"]
        running = process(command(data, tmp_path / "x" / "t.jsonl", server, *flags), MOTA_LLM_API_KEY=MARK)
        said += "".join(running.communicate(timeout=60))
    assert running.returncode == 1 and "does not answer" in said and "Traceback" in said
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"Bearer ***" in written  # the server did quote it
    assert MARK.encode() not in written and MARK not in said


def test_nobody_there(tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    with LLMServer() as server:
        pass
    argv = command(source(tmp_path, 3), tmp_path / "t.jsonl", server, "--option", "asking.patience=0.2")
    assert main(argv, host=host) == 1
    said = capsys.readouterr().err
    assert "does not answer: no connection" in said and "same command" in said
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_a_wrong_key_stops_at_once(tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]) -> None:
    from llm_server import _status

    with LLMServer(always=_status(401, text="invalid key")) as server:
        assert main(command(source(tmp_path, 30), tmp_path / "t.jsonl", server), host=host) == 1
    said = capsys.readouterr().err
    assert "401" in said and "invalid key" in said and "MOTA_LLM_API_KEY" in said and len(server.bodies) <= 16


def test_the_report_counts_tokens_and_rejects(
    tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    with LLMServer({"plain prose": 0.4}) as server:
        argv = command(source(tmp_path, 50), tmp_path / "t.jsonl", server, "--attempts", "1", "--json")
        assert main(argv, host=host) == 0
    report = json.loads(capsys.readouterr().out)
    refused = report["rejected"]["not JSON"]
    assert report["rows"] == 50 == report["triplets"] + refused and 5 < refused < 35
    assert report["prompt_tokens"] == 5000 and report["options"]["llm"]["model"] == "m"
    assert "url" not in report["options"]["llm"]
