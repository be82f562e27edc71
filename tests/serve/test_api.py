"""The API answers as Python and `mota eval` do, and says no more than it should."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tiny_index import TinyIndex

from motacli import Searcher
from motacli.plugins import PluginHost
from motacli.query_sources import Composed, ImageOnly, QuerySource, TextOnly
from motacli.retrieval import top_k
from motacli.search.building import index_folder, update_index
from motacli.serve.app import create_app
from motacli.serve.service import Thumbnails
from motacli.serve.settings import Settings

ADDRESS = "http://127.0.0.1"
K = 20
COOKIE = "mota-session="


def client_of(searcher: Searcher, **settings: Any) -> TestClient:
    return TestClient(create_app(searcher, Settings(**settings)), base_url=ADDRESS, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(searcher: Searcher) -> Iterator[TestClient]:
    with client_of(searcher, rate=0.0) as opened:
        yield opened


def search(client: TestClient, files: Sequence[Path] = (), **fields: Any) -> Any:
    pictures = [("image", (path.name, path.read_bytes(), "image/jpeg")) for path in files]
    answer = client.post("/api/search", data=fields, files=pictures or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def upload(client: TestClient, data: bytes, name: str = "a.jpg") -> Any:
    return client.post("/api/uploads", files={"image": (name, data, "image/jpeg")})


# ---------------------------------------------------------------------------------------------- the same rankings


@pytest.mark.parametrize("way", ["adapted", "plain", "image", "text"])
def test_rankings_and_recall_are_those_of_mota_eval(world: TinyIndex, client: TestClient, way: str) -> None:
    unit, data = world.data.unit, world.data
    ways: dict[str, QuerySource] = {
        "adapted": world.source,
        "plain": Composed(world.source.inversion),
        "image": ImageOnly(),
        "text": TextOnly(),
    }
    best, scores = top_k(ways[way].vectors(data.inputs).numpy(), data.gallery, K)
    hits = {"http": 0, "eval": 0}
    for query, rows, similar in zip(unit.queries, best, scores, strict=True):
        files = [] if way == "text" else [world.file_of(query.reference)]
        text = {} if way == "image" else {"text": query.captions[0]}
        found = search(client, files, k=K, adapted=str(way == "adapted"), **text)
        expected = [world.id_of(unit.gallery[row]) for row in rows]
        assert [hit["id"] for hit in found["results"]] == expected
        assert np.allclose([hit["similarity"] for hit in found["results"]], similar, atol=1e-6)
        targets = {world.id_of(target) for target in query.targets}
        hits["http"] += bool(targets & {hit["id"] for hit in found["results"][:10]})
        hits["eval"] += bool(targets & set(expected[:10]))
    assert hits["http"] == hits["eval"] > 0


def test_the_answer_is_that_of_python(world: TinyIndex, client: TestClient, searcher: Searcher) -> None:
    query = world.data.unit.queries[1]
    picture = world.file_of(query.reference)
    asked = {"negative": "a green circle", "alpha": 0.25, "min_score": 0.5, "k": 9}
    ours = searcher.search(picture, query.captions[0], where=["path~*1*"], **asked).record(paths=False)
    theirs = search(client, [picture], text=query.captions[0], where="path~*1*", **asked)
    assert len(theirs["results"]) == len(ours["results"]) > 3 and theirs["total"] == ours["total"]
    for one, other in zip(theirs["results"], ours["results"], strict=True):
        numbers = ("score", "similarity")
        assert [one[name] for name in numbers] == pytest.approx([other[name] for name in numbers])
        assert {**one, **other} == other and set(one) == set(other)
    assert set(theirs) == set(ours) and theirs["kind"] == "composed"
    assert theirs["background"]["mean"] == pytest.approx(ours["background"].mean)


def test_a_picture_is_the_same_uploaded_kept_or_of_the_index(world: TinyIndex, client: TestClient) -> None:
    picture = world.file_of(world.data.unit.queries[0].reference)
    kept = upload(client, picture.read_bytes()).json()
    assert (kept["width"], kept["height"]) == Image.open(picture).size
    found = [
        search(client, [picture], text="in red"),
        search(client, upload=kept["upload"], text="in red"),
        search(client, reference=picture.name, text="in red"),
    ]
    ids = [[hit["id"] for hit in each["results"]] for each in found]
    assert ids[0] == ids[1] == ids[2]
    several = search(client, [picture, picture], upload=kept["upload"], reference=picture.name, text="in red")
    assert [hit["id"] for hit in several["results"]] == ids[0]
    small = client.get(f"/api/uploads/{kept['upload']}")
    assert small.headers["content-type"] == "image/webp" and Image.open(BytesIO(small.content)).format == "WEBP"


def test_excluded_references_and_an_empty_file_input(world: TinyIndex, client: TestClient) -> None:
    known = world.file_of(world.data.unit.queries[0].reference).name
    assert search(client, reference=known)["results"][0]["id"] == known
    assert known not in [hit["id"] for hit in search(client, reference=known, exclude=known)["results"]]
    # A browser's form sends an empty part for a file that was not chosen, and empty fields.
    answer = client.post("/api/search", data={"text": "a star", "k": ""}, files={"image": ("", b"")})
    assert answer.status_code in (200, 422)


# ---------------------------------------------------------------------------------------------- pictures


@pytest.fixture
def own(tmp_path: Path, host: PluginHost) -> Iterator[tuple[Path, Path, TestClient]]:
    """A folder of ten pictures to do with as one likes, its index, and a client."""
    folder, path = tmp_path / "pictures", tmp_path / "own.mota"
    folder.mkdir()
    for number in range(10):
        Image.new("RGB", (40, 30), (25 * number, 99, 9)).save(folder / f"a {number}.png")
    index_folder(path, folder, host=host)
    with (
        Searcher.open(path, host=host, device="cpu") as searcher,
        client_of(searcher, watch_seconds=0.05, rate=0.0) as client,
    ):
        yield folder, path, client


def test_pictures_are_what_their_bytes_say(own: tuple[Path, Path, TestClient]) -> None:
    folder, _, client = own
    kinds = {"JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp", "AVIF": "image/avif", "TIFF": "image/webp"}
    for number, (kind, expected) in enumerate(kinds.items()):
        Image.new("RGB", (40, 30), (9, 9, 9)).save(folder / f"a {number}.png", kind)
        answer = client.get(f"/api/pictures/a%20{number}.png")
        assert answer.status_code == 200 and answer.headers["content-type"] == expected
        assert (
            answer.headers["x-content-type-options"] == "nosniff"
            and "sandbox" in answer.headers["content-security-policy"]
        )
    (folder / "a 5.png").write_bytes(b"<html><script>alert(1)</script>")
    (folder / "a 6.png").write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"/>')
    for name in ("a%205.png", "a%206.png"):
        for kind in ("pictures", "thumbnails"):
            answer = client.get(f"/api/{kind}/{name}")
            assert answer.status_code == 422 and answer.headers["content-type"] == "application/json"


def test_files_that_became_something_else_are_not_given(own: tuple[Path, Path, TestClient]) -> None:
    folder, path, client = own
    secret = folder.parent / "secret.png"
    Image.new("RGB", (9, 9)).save(secret)
    for number, become in enumerate(
        [
            lambda file: file.symlink_to(secret),
            lambda file: file.symlink_to(path / "index.json"),
            lambda file: file.mkdir(),
            lambda file: __import__("os").mkfifo(file),
            lambda file: None,
        ]
    ):
        file = folder / f"a {number}.png"
        file.unlink()
        become(file)
        for kind in ("pictures", "thumbnails"):
            answer = client.get(f"/api/{kind}/a%20{number}.png")
            assert answer.status_code == 404, number
            assert str(folder.parent) not in answer.text


def test_thumbnails_are_small_upright_and_cached(own: tuple[Path, Path, TestClient]) -> None:
    folder, _, client = own
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (1200, 600)).save(folder / "a 0.png", "JPEG", exif=exif)
    answer = client.get("/api/thumbnails/a%200.png")
    assert Image.open(BytesIO(answer.content)).size == (160, 320)
    again = client.get("/api/thumbnails/a%200.png", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content
    whole = client.get("/api/pictures/a%200.png")
    assert whole.content == (folder / "a 0.png").read_bytes()
    unchanged = client.get("/api/pictures/a%200.png", headers={"If-None-Match": whole.headers["etag"]})
    assert unchanged.status_code == 304


def test_an_update_is_noticed(own: tuple[Path, Path, TestClient], host: PluginHost) -> None:
    folder, path, client = own
    Image.new("RGB", (50, 50), (200, 0, 0)).save(folder / "new.png")
    assert client.get("/api/pictures/new.png").status_code == 404
    update_index(path, host=host)
    deadline = time.monotonic() + 20
    while client.get("/api/index").json()["count"] != 11:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client.get("/api/pictures/new.png").status_code == 200
    assert search(client, reference="new.png")["total"] == 11


def test_thumbnails_are_kept_within_their_bytes() -> None:
    kept = Thumbnails(100)
    for name in "abc":
        kept.put(name, bytes(40))
    assert [kept.get(name) is not None for name in "abc"] == [False, True, True]
    kept.put("b", bytes(60))
    assert kept.get("b") == bytes(60) and kept.get("c") == bytes(40)
    kept.put("d", bytes(1000))
    assert all(kept.get(name) is None for name in "abcd")


# ---------------------------------------------------------------------------------------------- who may ask


def test_without_the_token_there_is_only_the_page(searcher: Searcher) -> None:
    token = "correct-horse-battery"
    with client_of(searcher, host="0.0.0.0", token=token) as client:
        for address in ("/", "/page.css", "/page.js", "/icon.svg"):
            assert client.get(address).status_code == 200
        asked = [("GET", "/api/index"), ("POST", "/api/search"), ("GET", "/openapi.json"), ("GET", "/api/pictures/x")]
        for method, address in asked:
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": token},
                {"Cookie": "mota-session="},
            ):
                assert client.request(method, address, headers=headers).status_code == 401
        assert client.get("/api/index", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert client.post("/login", data={"token": "wrong"}).status_code == 401
        assert client.get("/api/index").status_code == 401
        answer = client.post("/login", data={"token": token})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and token not in cookie
        assert client.get("/api/index").status_code == 200
        assert client.get("/api/index", headers={"Host": "evil.example"}).status_code == 421
        assert client.get("/api/index", headers={"Host": "192.168.1.7:8000"}).status_code == 200


def test_other_names_are_allowed_one_by_one(searcher: Searcher) -> None:
    with client_of(searcher, names=("Photos.Home",)) as client:
        for host, status in (
            ("photos.home", 200),
            ("localhost:9", 200),
            ("[::1]:9", 200),
            ("home", 421),
            ("10.0.0.1", 421),
        ):
            assert client.get("/api/index", headers={"Host": host}).status_code == status, host


def test_too_many_requests_are_told_when_to_come_again(searcher: Searcher) -> None:
    with client_of(searcher, rate=1.0) as client:
        answers = [client.get("/icon.svg") for _ in range(12)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) >= 1


def test_a_failure_of_ours_tells_nothing(
    searcher: Searcher, world: TinyIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise RuntimeError(f"something about {world.path}")

    monkeypatch.setattr(searcher, "search", fail)
    with client_of(searcher) as client:
        answer = client.post("/api/search", data={"text": "a star"})
    assert answer.status_code == 500 and answer.json()["error"]["message"] == "the server failed at this"
    assert str(world.path) not in answer.text and str(world.path) in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_kept_pictures_are_dropped_in_turn(world: TinyIndex, searcher: Searcher) -> None:
    data = world.file_of(world.data.unit.queries[0].reference).read_bytes()
    with client_of(searcher, kept_uploads=2) as client:
        first, *_, last = [upload(client, data).json()["upload"] for _ in range(3)]
        assert client.post("/api/search", data={"upload": first}).status_code == 410
        assert client.get(f"/api/uploads/{first}").status_code == 410
        assert client.post("/api/search", data={"upload": last}).status_code == 200


def test_about_says_nothing_of_the_machine(world: TinyIndex, client: TestClient) -> None:
    answer = client.get("/api/index")
    about = answer.json()
    assert about["name"] == "my.mota" and about["adapter"] == "mota" and about["inversion"] == "lincir"
    assert about["count"] > 100 and len(set(about["examples"])) == 12
    assert str(world.root) not in answer.text and str(world.path.parent) not in answer.text
    assert str(world.pictures) not in client.post("/api/search", data={"text": "a star"}).text
