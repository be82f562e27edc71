"""A server in a process of its own, and requests as raw as anyone could send them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from places import REPOSITORY

BOUNDARY = "tiny-world"


@dataclass(frozen=True)
class Reply:
    """What came back; ``status`` is None where the connection was closed without a word."""

    status: int | None
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return next((value.strip().decode() for key, _, value in lines if key.decode().lower() == name), "")


@dataclass
class Running:
    """A server that runs; ``log`` is what it wrote on stderr."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    port: int = field(init=False)

    def __post_init__(self) -> None:
        self.port = int(self.url.split("#")[0].rstrip("/").rpartition(":")[2])

    def connect(self, seconds: float = 15) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def send(self, request: bytes, *, slowly: float = 0, hang_up: bool = False) -> Reply:
        """Send bytes, ``slowly`` one by one with a pause, and read until the other side has done."""
        with self.connect() as connection:
            try:
                for part in [request[n : n + 1] for n in range(len(request))] if slowly else [request]:
                    connection.sendall(part)
                    time.sleep(slowly)
            except OSError:
                pass  # refused while we were still sending: the answer may be there all the same
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
            return read_reply(connection)

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.send(request_of("GET", target, headers=headers))

    def post(self, target: str, fields: Sequence[tuple[str, bytes | str]], headers: Mapping[str, str] = {}) -> Reply:
        return self.send(post_of(target, multipart(fields), headers=headers))


def request_of(method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A request; ``headers`` replace the usual ones, and those that are empty are left out."""
    usual = {"Host": "127.0.0.1", "Connection": "close"} | ({"Content-Length": str(len(body))} if body else {})
    lines = [f"{name}: {value}" for name, value in {**usual, **(headers or {})}.items() if value]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("utf-8", "surrogateescape") + body


def post_of(target: str, body: bytes, *, headers: Mapping[str, str] = {}) -> bytes:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return request_of("POST", target, body, {**kind, **headers})


def multipart(fields: Sequence[tuple[str, bytes | str]], *, end: bool = True) -> bytes:
    """A form; bytes become files."""
    parts = []
    for name, value in fields:
        file = '; filename="a.jpg"\r\nContent-Type: image/jpeg' if isinstance(value, bytes) else ""
        content = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def read_reply(connection: socket.socket) -> Reply:
    data = b""
    try:
        while part := connection.recv(1 << 16):
            data += part
            head, found, body = data.partition(b"\r\n\r\n")
            length = Reply(None, head, b"").header("content-length") if found else ""
            if length and len(body) >= int(length):
                break
    except (ConnectionResetError, BrokenPipeError):
        pass
    head, _, body = data.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    return Reply(int(words[1]) if len(words) > 1 else None, head, body)


@contextmanager
def serving(index: Path, folder: Path, *options: str) -> Iterator[Running]:
    """`mota serve` on any free port, as long as the block lasts."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "motacli", "serve", str(index), "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        assert url, log.read_text()
        yield Running(process, url, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
