"""`mota gen-triplets --engine ray` writes what it writes here, whatever dies meanwhile.

One cluster, started with what its workers need on their path, serves all tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from llm_server import FAULTS, LLMServer, _status, mixed
from places import REPOSITORY
from worker_parts import LAST_WORDS, install_mortal

from motacli.cli import main
from motacli.plugins import PluginHost, load_plugins

MARK = "sk-marked-0123456789abcdef"
WORKERS = 2
QUICK = {kind: handler for kind, handler in FAULTS.items() if "slow" not in kind and "Retry" not in kind}
BAD = {
    kind: handler for kind, handler in FAULTS.items() if kind.startswith(("wrong", "another", "plain", "null", "not"))
}
"""Answers that are no good, of a server that is there all the same."""
RAY = ("--engine", "ray", "--ray-workers", str(WORKERS))
ONE = ("--engine", "ray", "--ray-workers", "1")
SOON = ("--option", "asking.backoff=0.02")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    install_mortal(folder)
    return folder


@pytest.fixture(scope="module")
def ray(installed: Path) -> Iterator[Any]:
    """A cluster with two cores and, as it believes, four GPUs."""
    found = pytest.importorskip("ray")
    if found.is_initialized():
        found.shutdown()
    path = [REPOSITORY, installed, REPOSITORY / "tests", REPOSITORY / "tests/llms"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, path)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("MOTA_LLM_API_KEY", raising=False)
        patch.delenv("OPENAI_API_KEY", raising=False)
        patch.syspath_prepend(str(installed))
        found.init(
            "local", num_cpus=WORKERS, num_gpus=4, include_dashboard=False, log_to_driver=False, logging_level=40
        )
        yield found
        found.shutdown()


@pytest.fixture(scope="module")
def mortals(ray: Any) -> PluginHost:
    return load_plugins(only=["mortal"])


def source(folder: Path, count: int) -> Path:
    path = folder / "data.jsonl"
    lines = (
        {"id": f"r{i}", "image": f"{i}.jpg", "caption": f"a brown dog on the grass, number {i}"} for i in range(count)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def asking(server: LLMServer, *more: str) -> tuple[str, ...]:
    where = ("--llm-url", server.url, "--llm-model", "m", "--concurrency", "8")
    return ("--generator", "llm", *where, *SOON, *more)


def written(out: Path) -> tuple[list[str], list[str], Mapping[str, Any]]:
    """The triplets and rejects of a run, sorted, and what its record counts."""
    record = json.loads(out.with_name(f"{out.stem}.meta.json").read_text())
    texts = [out.read_text(), out.with_name(f"{out.stem}.rejects.jsonl").read_text()]
    sums = {key: value for key, value in record.items() if key != "sha256"}
    return sorted(texts[0].splitlines()), sorted(texts[1].splitlines()), sums


def run(host: PluginHost, data: Path, out: Path, *options: str) -> int:
    return main(["gen-triplets", str(data), "-o", str(out), "--quiet", *options], host=host)


def test_a_hostile_server_is_asked_as_from_here(ray: Any, tmp_path: Path, host: PluginHost) -> None:
    """Rows, triplets, rejections by reason, requests and tokens.

    With this seed every row that fails for good does so by an answer, after which nobody has to ask whether the server
    is still there. The cluster was started without the key: it travels with the calls, and is not in what Ray writes.
    """
    from ray._private.worker import _global_node

    data, found = source(tmp_path, 150), []
    (tmp_path / "banned.txt").write_text("12\n13\n")
    banned = f"banned={tmp_path / 'banned.txt'}"
    for name, engine in (("here", ()), ("there", RAY)):
        with LLMServer(mixed(0.4, QUICK), seed=1057, draw="attempt") as server, pytest.MonkeyPatch.context() as patch:
            patch.setenv("MOTA_LLM_API_KEY", MARK)
            more = (*asking(server, "--attempts", "3", "--limit", "140", "--filter", banned), *engine)
            assert run(host, data, tmp_path / f"{name}.jsonl", *more) == 0
            found.append((written(tmp_path / f"{name}.jsonl"), server.asked))
            assert server.most_under_way <= 8 and server.served["quotes the key"]
            assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {MARK}"}
    assert found[0] == found[1]
    record = found[0][0][2]
    assert record["rows"] == 140 and record["requests"] > 160 and len(record["rejected"]) > 4
    folders = [tmp_path, Path(_global_node.get_session_dir_path())]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10 and not [path for path in files if MARK.encode() in path.read_bytes()]


def test_a_workers_death_costs_no_row_and_counts_none_twice(ray: Any, tmp_path: Path, mortals: PluginHost) -> None:
    """A plugin's client dies in the middle; its rows are asked about again. Bad captions stay bad."""
    data, found, mark = source(tmp_path, 150), [], tmp_path / "mark"
    assert LAST_WORDS == "number 77"
    for name, engine in (("there", RAY), ("here", ())):
        with LLMServer(mixed(0.2, BAD), seed=8, draw="caption", latency=0.02) as server:
            more = asking(server, "--llm", "mortal", "--llm-option", f"mark={mark}", "--attempts", "2")
            assert run(mortals, data, tmp_path / f"{name}.jsonl", *more, *engine) == 0
            found.append(written(tmp_path / f"{name}.jsonl"))
            requests = sum(server.asked.values())
        assert mark.exists() and (requests > found[-1][2]["requests"]) == (name == "there")
    assert found[0] == found[1] and found[0][2]["rows"] == 150


@pytest.mark.thorough
def test_a_generator_that_is_in_order_writes_the_same_file(ray: Any, tmp_path: Path, mortals: PluginHost) -> None:
    """A plugin's, whose worker dies."""
    data, mark = source(tmp_path, 1500), tmp_path / "mark"
    for name, engine in (("there", RAY), ("here", ())):
        more = ("--generator", "mortal", "--option", f"mark={mark}", "--per-image", "2", *engine)
        assert run(mortals, data, tmp_path / f"{name}.jsonl", *more) == 0
        assert mark.exists()
    for ending in (".jsonl", ".rejects.jsonl", ".meta.json"):
        assert (tmp_path / f"here{ending}").read_bytes() == (tmp_path / f"there{ending}").read_bytes()


def test_errors_are_those_of_here(
    ray: Any, tmp_path: Path, mortals: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that is gone, a key that is refused, a generator's own mistake: one line, the same exit code."""
    data = source(tmp_path, 30)
    with LLMServer() as server:
        gone = asking(server, "--option", "asking.patience=0.3")
    with LLMServer(always=_status(401, text="invalid key")) as server:
        for options in (gone, asking(server), ("--generator", "mortal", "--option", "fail=number 20")):
            said = []
            for name, engine in (("here", ()), ("there", ONE)):
                code = run(mortals, data, tmp_path / f"{name}.jsonl", *options, *engine)
                said.append((code, capsys.readouterr().err))
            assert said[0] == said[1] and said[0][0] == 1 and said[0][1].count("\n") == 1
    kept = [tmp_path / f"{name}.jsonl.partial" for name in ("here", "there")]
    assert kept[0].read_bytes() == kept[1].read_bytes() != b""  # the rows before the mistake


@pytest.mark.thorough
def test_vllm_in_the_workers(
    ray: Any, installed: Path, tmp_path: Path, host: PluginHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker loads the model on GPUs of its own; where vLLM is missing, that is said in one line."""
    data = source(tmp_path, 60)
    model = ("--generator", "llm", "--llm", "vllm", "--llm-model", "m", "--llm-option", "tensor_parallel_size=2")
    engine = (*ONE, "--gpus-per-worker", "2", "--concurrency", "10")
    assert run(host, data, tmp_path / "t.jsonl", *model, *engine) == 0
    triplets, _, record = written(tmp_path / "t.jsonl")
    places = {json.loads(line)["target_caption"].partition(" with ")[2] for line in triplets}
    assert places == {"2 of GPUs 0,1, number 0"} and record["requests"] == 60
    (installed / "vllm/missing").touch()
    capsys.readouterr()
    assert run(host, data, tmp_path / "u.jsonl", *model, *engine) == 2
    assert capsys.readouterr().err == "error: generator vllm needs vllm (pip install 'mota[vllm]')\n"
    (installed / "vllm/missing").unlink()


@pytest.mark.thorough
@pytest.mark.parametrize("ways", [(signal.SIGKILL,), (signal.SIGINT, signal.SIGKILL)])
def test_drivers_that_end_are_gone_on_from(
    ray: Any, tmp_path: Path, host: PluginHost, ways: tuple[signal.Signals, ...]
) -> None:
    """Ended with Ctrl-C, which waits for what is under way, or killed; the same command asks for the rest alone."""
    data, out, whole = source(tmp_path, 400), tmp_path / "t.jsonl", tmp_path / "w.jsonl"
    address = ray.get_runtime_context().gcs_address
    with LLMServer(mixed(0.1, BAD), seed=4, draw="caption", latency=0.1) as server:
        more = (*asking(server, "--attempts", "2"), *ONE)
        argv = [sys.executable, "-m", "motacli", "gen-triplets", str(data), "-o", str(out), *more]
        finished: set[str] = set()
        for way in ways:
            server.asked.clear()
            running = subprocess.Popen([*argv, "--ray-address", address], stderr=subprocess.PIPE, text=True)
            wait_for_rows(out, running, len(finished) + 20)
            running.send_signal(way)
            _, said = running.communicate(timeout=60)
            before, finished = finished, rows_of(out)
            assert (
                running.returncode == (130 if way == signal.SIGINT else -9) and len(before) + 20 <= len(finished) < 350
            ), said
            assert not before & asked_about(server)
            if way == signal.SIGINT:
                assert "error: interrupted" in said and "same command" in said
                assert finished == asked_about(server)
        server.latency = 0
        server.asked.clear()
        assert run(host, data, out, *more) == 0
        assert not finished & asked_about(server)
        assert run(host, data, whole, *asking(server, "--attempts", "2")) == 0
    assert written(out) == written(whole)


def wait_for_rows(out: Path, running: subprocess.Popen[str], number: int) -> None:
    until = time.monotonic() + 60
    while len(rows_of(out)) < number and running.poll() is None and time.monotonic() < until:
        time.sleep(0.1)


def rows_of(out: Path) -> set[str]:
    """The ids of finished rows of an unfinished run; the last line may be under way."""
    path = out.with_name(f"{out.name}.rows.partial")
    lines = path.read_text().splitlines(keepends=True)[1:] if path.exists() else []
    return {json.loads(line)[0] for line in lines if line.endswith("\n")}


def asked_about(server: LLMServer) -> set[str]:
    return {f"r{caption.rpartition(' ')[2]}" for caption in server.asked}


@pytest.mark.thorough
def test_workers_and_drivers_are_killed_again_and_again(tmp_path: Path) -> None:
    """On clusters that the command starts itself, and that end with it."""
    from ray_triplets import long_run

    found = long_run(tmp_path, 1500, 4)
    assert found["rows"] == 1500 and len(found["killed"]) == 4
