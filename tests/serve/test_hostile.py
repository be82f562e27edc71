"""Whatever is sent: the right status, not a word too many, and the next request is answered."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile_pictures import BAD, JPEG, SCRIPT
from serving import BOUNDARY, Running, multipart, post_of, read_reply, request_of
from tiny_index import TinyIndex

SEARCH, UPLOAD = "/api/search", "/api/uploads"
CLOSED = None
Fields = list[tuple[str, bytes | str]]


def require_harmless(server: Running, world: TinyIndex, reply: Any) -> None:
    """Nothing of the machine in the answer, no script that could run, and the server goes on."""
    said = (reply.head + reply.body).lower()
    for secret in (str(world.path), str(world.root), str(Path.home()), "traceback", "site-packages", ".py", "root:x:"):
        assert secret.lower().encode() not in said, secret
    assert b"<script" not in reply.body.lower()
    if reply.status not in (CLOSED, 400):  # what is no HTTP is refused before the app sees it
        assert reply.header("x-content-type-options") == "nosniff"
        assert "default-src 'none'" in reply.header("content-security-policy")
    if reply.status and reply.status >= 400 and reply.header("content-type") == "application/json":
        assert set(json.loads(reply.body)) == {"error"}
    alive = server.get("/api/index")
    assert alive.status == 200 and json.loads(alive.body)["count"] > 100


# ---------------------------------------------------------------------------------------------- addresses

TARGETS = [
    "/api/pictures/../../../../etc/passwd",
    "/api/pictures/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/api/pictures/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/api/pictures/%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "/api/pictures/..%5c..%5c..%5cwindows%5cwin.ini",
    "/api/pictures//etc/passwd",
    "/api/pictures/%2fetc%2fpasswd",
    "/api/pictures/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "/api/pictures/%u002e%u002e/etc/passwd",
    "/api/pictures/....//....//etc/passwd",
    "/api/pictures/file:///etc/passwd",
    "/api/pictures/proc/self/environ",
    "/api/pictures/.",
    "/api/pictures/..",
    "/api/pictures/*",
    "/api/pictures/'%20OR%201=1--",
    "/api/pictures/%00",
    "/api/pictures/%0d%0aSet-Cookie:%20a=b",
    "/api/thumbnails/../index.json",
    "/api/thumbnails/..%2f..%2fstates%2f000001%2fentries.sqlite",
    "/api/uploads/..%2f..%2f..%2fetc%2fpasswd",
    "/api/pictures",
    "/api/",
    "/..%2f..%2fetc/passwd",
    "/page.css/../../app.py",
    "/app.py",
    "/index.json",
    "/docs",
    "/.git/config",
    "/api/pictures/" + "a" * 9000,
    "http://evil.example/api/index",
    "//evil.example/",
    "*",
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:60])
def test_addresses_outside_of_the_index(server: Running, world: TinyIndex, target: str) -> None:
    reply = server.get(target)
    assert reply.status in (404, 410, 422), reply
    require_harmless(server, world, reply)


def test_a_known_picture_with_more_behind_it_is_another(server: Running, world: TinyIndex, picture: Path) -> None:
    known = f"/api/pictures/{picture.relative_to(world.pictures).as_posix()}"
    assert server.get(known).body == picture.read_bytes()
    for more in ("%00", "%00.html", "/", "/..", "%20", ".", "::$DATA", "/../" + picture.name):
        reply = server.get(known + more)
        assert reply.status == 404
        require_harmless(server, world, reply)


# ---------------------------------------------------------------------------------------------- heads of requests

CHUNK = b"10000\r\n" + b"a" * 65536 + b"\r\n"
POST = request_of("POST", SEARCH, headers={"Content-Type": "application/x-www-form-urlencoded"})


def sized(header: str, body: bytes = b"") -> bytes:
    """A form whose length is told by ``header``."""
    return POST.replace(b"Connection", f"{header}\r\nConnection".encode()) + body


def head(**headers: str) -> bytes:
    return request_of("GET", "/api/index", headers={name.replace("_", "-"): value for name, value in headers.items()})


HEADS: dict[str, tuple[bytes, set[int | None]]] = {
    "no host": (head(Host=""), {400}),
    "two hosts": (head(Host="127.0.0.1\r\nHost: localhost"), {400}),
    "another host": (head(Host="evil.example"), {421}),
    "another host that looks like ours": (head(Host="127.0.0.1.evil.example"), {421}),
    "our host in a name": (head(Host="127.0.0.1:80@evil.example"), {421}),
    "an address that is not ours": (head(Host="169.254.169.254"), {421}),
    "a host of nothing but a port": (head(Host=":80"), {421}),
    "a host as a number": (head(Host="2130706433"), {421}),
    "a host of letters that look alike": (head(Host="\u217cocalhost"), {421}),
    "a host that is too long": (head(Host="a" * 5000), {421}),
    "a page of another site": (head(Origin="http://evil.example"), {403}),
    "a page of nowhere": (head(Origin="null"), {403}),
    "a page of another port": (head(Origin="http://127.0.0.1:1"), {403}),
    "an image on another site": (head(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors"), {403}),
    "a header of 100 kB": (head(X_Large="a" * 100_000), {431, 400, CLOSED}),
    "ten thousand headers": (head(**{f"X-{n}": "a" for n in range(10_000)}), {431, 400, CLOSED}),
    "an address of 100 kB": (request_of("GET", "/" + "a" * 100_000), {414, 400, CLOSED}),
    "a header within a header": (head(X_A="a\r\n folded"), {200, 400}),
    "a nul in a header": (head(X_A="a\0b"), {400}),
    "no version": (b"GET /api/index\r\n\r\n", {400}),
    "a version to come": (b"GET /api/index HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n", {505, 400}),
    "an unknown method": (request_of("BREW", "/api/index"), {405}),
    "a method that deletes": (request_of("DELETE", "/api/pictures/a"), {405}),
    "a method that echoes": (request_of("TRACE", "/"), {405}),
    "a proxy's method": (request_of("CONNECT", "evil.example:443"), {404, 405, 400}),
    "garbage": (os.urandom(2000).replace(b"\n", b"") + b"\r\n\r\n", {400}),
    "a TLS greeting": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 300 + b"\r\n\r\n", {400}),
    "another protocol": (b"PRI * HTTP/2.0\r\n\r\n", {400, 505}),
    "a web socket": (head(Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Version="13"), {200, 400}),
    "a negative length": (sized("Content-Length: -1"), {400}),
    "a length in letters": (sized("Content-Length: many"), {400}),
    "a length of 30 digits": (
        sized("Content-Length: " + "9" * 30),
        {400, 413},
    ),
    "a length that is too much": (sized("Content-Length: 9000000000"), {413}),
    "two lengths": (
        sized("Content-Length: 3\r\nContent-Length: 4") + b"a=b",
        {400},
    ),
    "a length twice over": (
        sized("Content-Length: 3\r\nTransfer-Encoding: chunked") + b"0\r\n\r\n",
        {400},
    ),
    "an unknown encoding": (sized("Transfer-Encoding: gzip, chunked"), {400, 501}),
    "a chunk of no size": (sized("Transfer-Encoding: chunked") + b"zz\r\n", {400}),
    "a chunk of all there is": (
        sized("Transfer-Encoding: chunked") + b"f" * 16 + b"\r\naaaa",
        {400, 408},
    ),
    "chunks without end": (
        sized("Transfer-Encoding: chunked") + (b"10000\r\n" + b"a" * 65536 + b"\r\n") * 40,
        {413},
    ),
    "a body shorter than said": (sized("Content-Length: 999") + b"text=a", {408}),
    "a body longer than said": (
        sized("Content-Length: 6") + b"text=aGET /x",
        {200},
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(server: Running, world: TinyIndex, name: str) -> None:
    request, expected = HEADS[name]
    reply = server.send(request)
    assert reply.status in expected, reply
    require_harmless(server, world, reply)


# ---------------------------------------------------------------------------------------------- bodies


FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(*fields: tuple[str, bytes | str], kind: str = "", end: bool = True) -> bytes:
    headers = {"Content-Type": kind} if kind else {}
    return post_of(SEARCH, multipart(list(fields), end=end), headers=headers)


BODIES: dict[str, tuple[bytes, set[int | None]]] = {
    "nothing": (request_of("POST", SEARCH), {422}),
    "an empty form": (form(), {422}),
    "a form without boundary": (form(("text", "a"), kind="multipart/form-data"), {400}),
    "a form with another boundary": (form(("text", "a"), kind="multipart/form-data; boundary=x"), {400}),
    "a boundary of a thousand signs": (form(("text", "a"), kind="multipart/form-data; boundary=" + "x" * 1000), {400}),
    "a form without end": (form(("image", JPEG), end=False), {400, 422}),
    "a file without end": (post_of(SEARCH, multipart([("image", JPEG)])[:400]), {400, 422}),
    "a part without a name": (form(("text", "a")).replace(b'; name="text"', b"          "[:13]), {400}),
    "a form in an unknown alphabet": (
        form(("text", "a"), kind=f"{FORM}; charset=x"),
        {200},
    ),
    "a form in UTF-7": (
        form(("text", "+ADw-"), kind=f"{FORM}; charset=utf-7"),
        {200},
    ),
    "a part's header of 200 kB": (form(("x" * 200_000, "a")), {400, 413, 422}),
    "five thousand fields": (form(*[("where", "price<1")] * 5000), {400, 413}),
    "a hundred files": (form(*[("image", b"a")] * 100), {400}),
    "nine files": (form(*[("image", JPEG)] * 9), {400, 422}),
    "10 MB of text": (form(("text", "a" * 10**7)), {413}),
    "1 MB of text": (form(("text", "a" * 10**6)), {413}),
    "10 MB of text in an address": (
        request_of("POST", SEARCH, b"text=" + b"a" * 10**7, {"Content-Type": "application/x-www-form-urlencoded"}),
        {413},
    ),
    "a file that is too large": (form(("image", b"\xff\xd8\xff" + bytes(3 * 10**6))), {413}),
    "JSON": (request_of("POST", SEARCH, b'{"text": "a"}', {"Content-Type": "application/json"}), {422}),
    "deep JSON": (request_of("POST", SEARCH, b"[" * 100_000, {"Content-Type": "application/json"}), {422}),
    "XML": (request_of("POST", SEARCH, b"<!DOCTYPE a>", {"Content-Type": "text/xml"}), {422}),
    "bytes of no kind": (request_of("POST", SEARCH, os.urandom(5000), {"Content-Type": "\x7f"}), {400, 422}),
    "a packed body": (
        form(("text", "a")).replace(b"Connection", b"Content-Encoding: gzip\r\nConnection"),
        {200, 400, 422},
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(server: Running, world: TinyIndex, name: str) -> None:
    request, expected = BODIES[name]
    reply = server.send(request)
    assert reply.status in expected, reply
    require_harmless(server, world, reply)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("target", [SEARCH, UPLOAD])
def test_bad_pictures(server: Running, world: TinyIndex, target: str, name: str) -> None:
    reply = server.post(target, [("image", BAD[name])])
    # What is packed into a picture may be left packed: then it is a picture, and all is well.
    assert reply.status in ((422, 200) if "bomb of a" in name else (422,)), reply
    require_harmless(server, world, reply)


NAMES = ["../../../etc/passwd", "a\\r\\nX: y", "a" * 9000, "<script>", "\x01", "", "con.jpg", "a.svg", "a.html"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_a_files_name_and_kind_mean_nothing(server: Running, world: TinyIndex, name: str) -> None:
    body = multipart([("image", JPEG)]).replace(b"a.jpg", name.encode()).replace(b"image/jpeg", b"text/html")
    reply = server.send(post_of(SEARCH, body))
    assert (
        reply.status in ((200,) if len(name) < 999 else (400,)) and reply.header("content-type") == "application/json"
    )
    require_harmless(server, world, reply)


# ---------------------------------------------------------------------------------------------- values

REFUSED: list[tuple[str, str]] = [
    *[("k", value) for value in ("0", "-1", "201", "1e9", "nan", "inf", "abc", "1.5", "9" * 5000, "0x10")],
    *[("alpha", value) for value in ("nan", "inf", "-inf", "1", "-0.1", "1e400", "abc")],
    *[("min_score", value) for value in ("nan", "inf", "-inf", "abc", "1e999")],
    *[("adapted", value) for value in ("maybe", "2", "null")],
    *[("reference", value) for value in ("no-such.jpg", "../../etc/passwd", "\0", "a" * 5000, SCRIPT.decode())],
    *[("where", value) for value in ("a", "<", "=", "x<1", "path~" + "*a" * 30, "a" * 301, "; DROP TABLE entries")],
    *[("text", "a" * 2001), ("negative", "a" * 2001)],
    *[("vector", "nan,nan"), ("vector", "[NaN]"), ("image_vector", "0"), ("__proto__", "x"), ("image", "no file")],
]


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=lambda text: text[:24].encode("unicode_escape").decode())
def test_values_that_are_refused(server: Running, world: TinyIndex, name: str, value: str) -> None:
    fields: Fields = [("text", "a red star")] if name != "text" else []
    reply = server.post(SEARCH, [*fields, (name, value)])
    assert reply.status == 422, reply
    require_harmless(server, world, reply)


ODD = {
    "nul": "a\0b",
    "markers": "<|startoftext|> <|endoftext|> $ * {caption} {0} %s",
    "script": "<img src=x onerror=alert(1)>",
    "right to left": "\u202e\u2066abc",
    "far planes": "😀" * 300,
    "marks without end": "a" + "\u0301" * 1500,
    "no text in UTF-8": "\udcff\udcfe",
    "an injection": "' OR 1=1; --",
    "spaces": "  a  ",
    "one long word": "a" * 2000,
    "lines": "a\r\nb\r\n" * 200,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_texts_are_texts(server: Running, world: TinyIndex, name: str, picture: Path) -> None:
    known = picture.relative_to(world.pictures).as_posix()
    for fields in ([("text", ODD[name])], [("text", ODD[name]), ("reference", known), ("negative", ODD[name])]):
        reply = server.post(SEARCH, [*fields, ("k", "3")])
        assert reply.status in (200, 422) and reply.header("content-type") == "application/json", reply
        if reply.status == 200:
            assert len(json.loads(reply.body)["results"]) == 3
        alive = server.get("/api/index")
        assert alive.status == 200


@pytest.mark.parametrize("where", ["path=' OR 1=1 --", "path='; DROP TABLE entries; --", 'id="x" OR "1"="1"'])
def test_conditions_are_values(server: Running, world: TinyIndex, where: str) -> None:
    reply = server.post(SEARCH, [("text", "a star"), ("where", where)])
    assert reply.status in (200, 422)
    assert reply.status == 422 or json.loads(reply.body)["results"] == []
    require_harmless(server, world, reply)


# ---------------------------------------------------------------------------------------------- slow and many


def test_slow_heads_and_silence_are_cut_off(server: Running, world: TinyIndex) -> None:
    for request, slowly in ((b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 40, 0.1), (b"", 0.0)):
        began = time.monotonic()
        reply = server.send(request, slowly=slowly)
        assert reply.status in (CLOSED, 400) and 1 < time.monotonic() - began < 10
    require_harmless(server, world, reply)


def test_slow_bodies_are_cut_off(server: Running, world: TinyIndex) -> None:
    request = post_of(UPLOAD, multipart([("image", JPEG)]))
    body = request.partition(b"\r\n\r\n")[2]
    with server.connect() as connection:
        connection.sendall(request[: -len(body)])
        began = time.monotonic()
        for n in range(40):
            try:
                connection.sendall(body[n : n + 1])
            except OSError:
                break
            time.sleep(0.1)
        reply = read_reply(connection)
    assert reply.status in (408, CLOSED) and time.monotonic() - began < 10
    require_harmless(server, world, reply)


def test_a_client_that_hangs_up_is_forgotten(server: Running, world: TinyIndex) -> None:
    for _ in range(20):
        with server.connect() as connection:
            connection.sendall(post_of(SEARCH, multipart([("image", JPEG)])))
        with server.connect() as connection:
            connection.sendall(post_of(SEARCH, multipart([("image", JPEG)]))[:500])
    require_harmless(server, world, server.get("/icon.svg"))


def test_clients_that_do_not_read_do_not_stop_others(server: Running, world: TinyIndex) -> None:
    deaf = []
    for _ in range(20):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request_of("GET", "/page.js", headers={"Connection": "keep-alive"}) * 60)
        deaf.append(connection)
    require_harmless(server, world, server.get("/icon.svg"))
    for connection in deaf:
        connection.close()


def test_three_hundred_connections_are_no_harm(server: Running, world: TinyIndex) -> None:
    many = [server.connect() for _ in range(300)]
    require_harmless(server, world, server.get("/icon.svg"))
    for connection in many:
        connection.close()


def test_nothing_failed_on_the_way(server: Running) -> None:
    """The last test of this file: the server's own output holds no failure of its own."""
    log = server.log.read_text()
    assert server.process.poll() is None
    assert "Traceback" not in log and "Exception" not in log, log


def test_there_are_enough_kinds() -> None:
    kinds: list[Mapping[str, Any] | list[Any]] = [TARGETS, HEADS, BODIES, BAD, REFUSED]
    assert sum(map(len, kinds)) > 150
