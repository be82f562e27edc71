"""`mota serve` on the command line: what it refuses to start with, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from places import REPOSITORY
from serving import multipart, post_of, read_reply, serving

from motacli.cli import main
from motacli.plugins import PluginHost
from motacli.search.building import index_folder

pytest.importorskip("fastapi", reason="mota serve needs mota[serve]")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        Image.new("RGB", (20, 20), (60 * number, 9, 9)).save(folder / f"{number}.png")
    path = tmp_path_factory.mktemp("index") / "my.mota"
    index_folder(path, folder, host=host)
    return path


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (
            ["--host", "0.0.0.0"],
            2,
            "host '0.0.0.0' can be reached by others, who could look at all",
        ),
        (["--token", "abc"], 2, "a token of 3 characters can be guessed (16 at least)"),
        (["--max-upload", "much"], 2, "'much' is no size (as in 20MB"),
        (["--port", "70000"], 2, "port"),
        (["--host", "no.such.host.invalid", "--token", "auto"], 1, "cannot listen at no.such.host.invalid port 8000"),
    ],
)
def test_what_it_does_not_start_with(
    index: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, complaint: str
) -> None:
    assert main(["serve", str(index), *options]) == code
    assert complaint in capsys.readouterr().err


def test_no_index_and_a_taken_port(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path)]) == 1
    assert "is no index" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(index), "--port", str(port)]) == 1
    assert f"cannot listen at 127.0.0.1 port {port}" in capsys.readouterr().err


def test_a_missing_extra_is_named(
    index: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", str(index)]) == 2
    assert "mota serve needs uvicorn (pip install 'mota[serve]')" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.thorough)])
def test_what_is_under_way_is_finished(index: Path, tmp_path: Path, number: int) -> None:
    with serving(index, tmp_path, "--device", "cpu") as server:
        request = post_of("/api/search", multipart([("text", "a red square"), ("k", "2")]))
        with server.connect() as connection:
            connection.sendall(request[:-20])  # the server waits for the rest
            time.sleep(0.5)
            server.process.send_signal(number)
            time.sleep(0.5)
            connection.sendall(request[-20:])
            reply = read_reply(connection)
        assert reply.status == 200 and len(json.loads(reply.body)["results"]) == 2
        assert server.process.wait(30) == 0
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        assert "Traceback" not in server.log.read_text()


def test_json_says_where_it_is(index: Path, tmp_path: Path) -> None:
    from subprocess import PIPE, Popen

    command = [sys.executable, "-m", "motacli", "serve", str(index), "--port", "0", "--json", "--device", "cpu"]
    with Popen(command, stdout=PIPE, cwd=REPOSITORY, text=True) as process:
        assert process.stdout is not None
        timer = threading.Timer(60, process.kill)
        timer.start()
        document: Any = json.loads("".join(process.stdout.readline() for _ in range(3)))
        timer.cancel()
        assert document["url"].startswith("http://127.0.0.1:")
        process.terminate()
        assert process.wait(30) == 0


def test_the_command_alone_imports_no_server() -> None:
    import subprocess

    heavy = "{'fastapi', 'uvicorn', 'torch'}"
    code = f"import sys; from motacli.cli import main; main(['serve', '--help']); print([*{heavy} & set(sys.modules)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip().endswith("[]")
