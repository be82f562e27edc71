"""A collection behind an address: built by several writers, searched, evaluated and updated; its server killed.

The server is Milvus Lite's, in a process of its own. It is no Milvus cluster: several writers are shown to add every
row, and not that a server gains by them.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motacli import MotaError
from motacli.console import NullProgress
from motacli.contracts import EvalUnit, Query
from motacli.evaluation import score_unit
from motacli.models import BackboneChoice
from motacli.plugins import PluginHost
from motacli.search.building import index_folder, update_index
from motacli.search.exact import ExactOptions, ExactStore
from motacli.search.galleries import Galleries
from motacli.search.index import Index
from motacli.search.stores import StoreChoice
from motacli.search.vectors import Vectors
from motacli.testing.index_store_subject import grouped

pytest.importorskip("pymilvus", reason="mota-milvus needs pymilvus")
pytest.importorskip("milvus_lite", reason="Milvus Lite is not installed (it has no wheels for this system)")
from mota_milvus import connection
from mota_milvus.connection import Connection
from mota_milvus.store import MilvusOptions, MilvusStore

ROWS = 2000


class Server:
    """``milvus-lite server`` on a port of this machine."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._words = ["server", "--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(self.port)]

    def start(self) -> None:
        command = [sys.executable, "-m", "milvus_lite", *self._words]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, "milvus-lite server has ended"
                time.sleep(0.1)
        raise AssertionError("milvus-lite server does not listen")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def collections(self) -> list[str]:
        opened = Connection.open(self.uri)
        names: list[str] = opened.client.list_collections()
        opened.close()
        return names


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("milvus") / "data")
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Vectors:
    return Vectors.write(tmp_path_factory.mktemp("vectors"), [grouped(ROWS)], ROWS, 32, "float32")


class Told(NullProgress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_several_writers(server: Server, vectors: Vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lite gets one. Taken for another server it gets four, whose few rows it holds in memory: all arrive."""
    options = MilvusOptions(uri=server.uri, writers=4)
    queries = vectors.units(np.arange(0, ROWS, 40))
    wanted = ExactStore(vectors, ExactOptions()).search(queries, 5)
    clients: list[str] = []
    monkeypatch.setattr(connection, "BYTES_AT_ONCE", 50 * (4 * 32 + 16))
    opened = Connection.open.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Connection, "open", classmethod(lambda cls, uri: clients.append(uri) or opened(cls, uri)))
    for lite in (True, False):
        folder, told = tmp_path / str(lite), Told()
        folder.mkdir()
        if not lite:
            monkeypatch.setattr(Connection, "is_lite", lambda self: False)
        clients.clear()
        MilvusStore.build(folder, vectors, options, told)
        assert (len(clients), bool(told.warnings)) == ((2, True) if lite else (5, False))
        store = MilvusStore.open(folder, vectors, options)
        for mine, theirs in zip(store.search(queries, 5), wanted, strict=True):
            assert np.mean(mine == theirs) > 0.97
        store.close()
        MilvusStore.forget(folder, options)
    assert server.collections() == []


def test_rows_that_did_not_arrive(
    server: Server, vectors: Vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "insert", lambda self, *what: None)
    with pytest.raises(MotaError, match=f"holds 0 rows after {ROWS} were written"):
        MilvusStore.build(tmp_path, vectors, MilvusOptions(uri=server.uri), NullProgress())
    assert server.collections() == []


def test_a_benchmark_by_the_server(server: Server, vectors: Vectors, host: PluginHost) -> None:
    gallery = vectors.units(slice(None))
    queries = [Query(f"q{row}", str(row), ("c",), targets=(str(row + 1), str(row + 7))) for row in range(0, 600, 6)]
    ids = tuple(map(str, range(ROWS)))
    unit = EvalUnit("u", "b", "val", tuple(queries), ids, {}, ("R@1", "mAP@50"), exclude_reference=True)
    asked = gallery[1:601:6]
    plain = score_unit(unit, gallery, asked)
    galleries = Galleries(StoreChoice("milvus", {"uri": server.uri}), host, NullProgress())
    with galleries.holding(gallery) as store:
        assert len(server.collections()) == 1
        found = score_unit(unit, gallery, asked, store=store)
    assert server.collections() == []
    assert found.store_recall["recall@50"] > 97 and abs(found.metrics["mAP@50"] - plain.metrics["mAP@50"]) < 2
    assert found.metrics["R@1"] == plain.metrics["R@1"] == 100
    with pytest.raises(ZeroDivisionError), galleries.holding(gallery):
        raise ZeroDivisionError
    assert server.collections() == []


def draw(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_a_server_that_is_killed(server: Server, host: PluginHost, tmp_path: Path) -> None:
    """In the middle of an update: the error says so, the old state answers once it is up, and the update goes on."""

    class Killing(NullProgress):
        def track(self, items: Iterable[Any], description: Any = "", total: int | None = None) -> Iterator[Any]:
            if description == "milvus: rows":
                server.kill()
            yield from items

    path, pictures = tmp_path / "my.mota", tmp_path / "pictures"
    draw(pictures, 6)
    choice, options = BackboneChoice("tiny", device="cpu"), {"uri": server.uri}
    index_folder(path, pictures, host=host, choice=choice, store="milvus", store_options=options)
    with Index.open(path) as index:
        store, queries = index.open_store(host), index.vectors.units(slice(None))
        assert store.search(queries, 1)[0].ravel().tolist() == list(range(6))
        draw(pictures, 9)
        begun = time.monotonic()
        with pytest.raises(MotaError, match=f"Milvus at {server.uri} failed"):
            update_index(path, host=host, progress=Killing())
        with pytest.raises(MotaError, match=f"Milvus at {server.uri} failed"):
            store.search(queries, 1)
        with pytest.raises(MotaError, match=f"no Milvus answers at {server.uri}"):
            index.open_store(host)
        assert time.monotonic() - begun < 60
        server.start()
        assert store.search(queries, 1)[0].ravel().tolist() == list(range(6)) and index.generation == 1
        assert update_index(path, host=host).rows == 9 and len(server.collections()) == 1
        assert store.search(queries, 1)[0].ravel().tolist() == list(range(6))  # its collection is gone by now
        store.close()
    with Index.open(path) as index:
        assert len(index.vectors) == 9
        index.config.store_choice.forget(index.state / "store", host)
