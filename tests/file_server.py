"""A web server on loopback that knows ranges, counts what it is asked for, and fails as it is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit


@dataclass
class Served:
    """Files by name. ``fault`` says of each GET of a file what goes wrong: a status, ``cut``, or nothing."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    gets: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    ranges: bool = True
    fault: Callable[[str], int | str | None] = lambda name: None

    def add(self, folder: Path) -> None:
        """Serve the files of a folder."""
        found = (path for path in folder.rglob("*") if path.is_file())
        self.files.update({path.relative_to(folder).as_posix(): path.read_bytes() for path in found})

    def forget(self) -> None:
        """Count from here."""
        self.gets.clear()
        self.sent = 0


@contextmanager
def serving() -> Iterator[Served]:
    """A server for the time of the block."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, body: bool) -> None:
            name = unquote(urlsplit(self.path).path.strip("/"))
            content, kind = served.files.get(name), "application/octet-stream"
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            fault = served.fault(name) if content is not None and (body or not asked) else None
            if body:
                served.gets.append((name, self.headers.get("Range", "")))
            if content is None:
                content, kind = _page(served.files, name), "text/html"
            if isinstance(fault, int) or not content:
                self._head(fault if isinstance(fault, int) else 404, b"", kind)
                return
            part, status = content, 200
            if asked and served.ranges and kind != "text/html":
                part, status = content[int(asked[1]) : int(asked[2]) + 1], 206
            self._head(status, part, kind, sha256(content).hexdigest()[:16])
            if body:
                served.sent += len(part)
                self.wfile.write(part[: len(part) // 2] if fault == "cut" else part)
            if fault == "cut":
                self.close_connection = True

        def _head(self, status: int, part: bytes, kind: str, tag: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Content-Type", kind)
            if tag:
                self.send_header("ETag", tag)
            if served.ranges and status in (200, 206):
                self.send_header("Accept-Ranges", "bytes")
            self.end_headers()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Clients that have enough hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def _page(files: dict[str, bytes], folder: str) -> bytes:
    """The page of a folder, with links as web servers make them; nothing where no file is below it."""
    begin = f"{folder}/" if folder else ""
    below = [name[len(begin) :].partition("/") for name in files if name.startswith(begin)]
    names = sorted({name + slash for name, slash, _ in below})
    links = "".join(f'<a href="{quote(name)}">{name}</a>' for name in names)
    return f'<a href="?C=N;O=D">Name</a><a href="../">up</a>{links}'.encode() if names else b""
