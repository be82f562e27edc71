"""The store keeps its contract in a file of Milvus Lite; what a server is asked, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motacli import DataError, MotaError, UsageError
from motacli.config import parse_options
from motacli.console import NullProgress
from motacli.plugins import PluginHost
from motacli.search.vectors import Vectors
from motacli.testing import check_index_store
from motacli.testing.index_store_subject import grouped

pytest.importorskip("pymilvus", reason="mota-milvus needs pymilvus")
from mota_milvus import connection
from mota_milvus.connection import Connection
from mota_milvus.store import FILE, PLACE, MilvusOptions, MilvusStore


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILVUS_URI", raising=False)
    monkeypatch.delenv("MILVUS_TOKEN", raising=False)


@pytest.fixture
def lite() -> None:
    pytest.importorskip("milvus_lite", reason="Milvus Lite is not installed (it has no wheels for this system)")


@pytest.fixture
def vectors(tmp_path: Path) -> Vectors:
    (tmp_path / "vectors").mkdir()
    return Vectors.write(tmp_path / "vectors", [grouped(300)], 300, 32, "float16")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def test_it_is_registered(host: PluginHost) -> None:
    assert host.component("stores", "milvus").load() is MilvusStore


def test_it_keeps_its_contract(lite: None) -> None:
    assert not check_index_store(MilvusStore, tolerance=1e-6).left_out


def test_a_file_is_opened_twice_and_closed_once(lite: None, folder: Path, vectors: Vectors) -> None:
    MilvusStore.build(folder, vectors, MilvusOptions(), NullProgress())
    assert {path.name for path in folder.iterdir()} == {PLACE, FILE}
    one, two = (MilvusStore.open(folder, vectors, MilvusOptions()) for _ in range(2))
    query = vectors.units(np.array([5]))
    one.close()
    assert two.search(query, 3)[0][0, 0] == 5
    two.close()
    assert not connection._users[str(folder / FILE)]


def test_other_rows_and_no_rows(lite: None, folder: Path, vectors: Vectors) -> None:
    with pytest.raises(DataError, match=r"milvus\.json does not say where the rows are"):
        MilvusStore.open(folder, vectors, MilvusOptions())
    MilvusStore.build(folder, vectors, MilvusOptions(), NullProgress())
    fewer = Vectors(vectors.stored[:200], vectors.norms[:200])
    with pytest.raises(DataError, match="holds 300 rows, not 200"):
        MilvusStore.open(folder, fewer, MilvusOptions())
    place = json.loads((folder / PLACE).read_text())
    (folder / PLACE).write_text(json.dumps({**place, "collection": "mota_other"}))
    with pytest.raises(DataError, match="mota_other is gone"):
        MilvusStore.open(folder, vectors, MilvusOptions())


def test_a_filter_that_leaves_the_neighbourhood_empty(lite: None, folder: Path, vectors: Vectors) -> None:
    """A fifth of the rows are allowed, the worst for this query: Milvus gives none of them."""
    MilvusStore.build(folder, vectors, MilvusOptions(), NullProgress())
    query = vectors.units(np.array([5]))
    cosines = (vectors.units(slice(None)) @ query[0]).argsort()
    allowed = np.zeros(300, dtype=bool)
    allowed[cosines[:60]] = True
    store = MilvusStore.open(folder, vectors, MilvusOptions())
    assert store.search(query, 3, allowed)[0].tolist() == [cosines[59:56:-1].tolist()]
    store.close()


def test_a_collection_that_an_update_dropped(lite: None, folder: Path, vectors: Vectors) -> None:
    MilvusStore.build(folder, vectors, MilvusOptions(), NullProgress())
    store, query = MilvusStore.open(folder, vectors, MilvusOptions()), vectors.units(np.array([5, 6]))
    found = store.search(query, 3)
    store._connection.client.drop_collection(store._collection)
    for before, after in zip(found, store.search(query, 3), strict=True):
        assert np.array_equal(before, after)
    store.close()


class Server:
    """Stands in for a server's client: collections are kept by name, and calls noted."""

    def __init__(self, uri: str, token: str, **how: Any) -> None:
        self.uri, self.token = uri, token
        SERVERS.append(self)

    def prepare_index_params(self) -> Any:
        return SimpleNamespace(add_index=lambda **how: None)

    def create_collection(self, name: str, **how: Any) -> None:
        COLLECTIONS[name] = {}

    def insert(self, name: str, rows: list[dict[str, Any]], **how: Any) -> None:
        COLLECTIONS[name].update({row["row"]: row["vector"] for row in rows})

    def has_collection(self, name: str, **how: Any) -> bool:
        return name in COLLECTIONS

    def query(self, name: str, **how: Any) -> Any:
        return [{"count(*)": len(COLLECTIONS[name])}]

    def drop_collection(self, name: str, **how: Any) -> None:
        COLLECTIONS.pop(name, None)

    def flush(self, name: str, **how: Any) -> None: ...

    def load_collection(self, name: str, **how: Any) -> None: ...

    def close(self) -> None: ...


SERVERS: list[Server] = []
COLLECTIONS: dict[str, dict[int, Any]] = {}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    SERVERS.clear()
    COLLECTIONS.clear()
    Server.create_schema = staticmethod(lambda **how: SimpleNamespace(add_field=lambda *a, **k: None))  # type: ignore[attr-defined]
    monkeypatch.setattr("pymilvus.MilvusClient", Server)


def test_a_server_by_the_environment(
    server: None, folder: Path, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILVUS_URI", "http://milvus:19530")
    monkeypatch.setenv("MILVUS_TOKEN", "root:secret")
    MilvusStore.build(folder, vectors, MilvusOptions(), NullProgress())
    (rows,) = COLLECTIONS.values()
    assert len(rows) == 300 and (SERVERS[0].uri, SERVERS[0].token) == ("http://milvus:19530", "root:secret")
    assert "secret" not in (folder / PLACE).read_text()
    monkeypatch.setenv("MILVUS_URI", "http://elsewhere:19530")
    MilvusStore.open(folder, vectors, MilvusOptions()).close()
    assert SERVERS[-1].uri == "http://elsewhere:19530"
    MilvusStore.forget(folder, MilvusOptions())
    assert COLLECTIONS == {}


def test_nothing_is_left_of_a_build_that_fails(server: None, folder: Path, vectors: Vectors) -> None:
    class Interrupted(NullProgress):
        def track(self, items: Any, *how: Any, **more: Any) -> Any:
            yield next(iter(items))
            raise KeyboardInterrupt

    COLLECTIONS["mota_in_use"] = {}
    with pytest.raises(KeyboardInterrupt):
        MilvusStore.build(folder, vectors, MilvusOptions(uri="http://milvus:19530"), Interrupted())
    assert list(COLLECTIONS) == ["mota_in_use"]


def test_passwords_are_not_written_down(folder: Path, vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="MILVUS_TOKEN"):
        parse_options(MilvusOptions, {"uri": "http://root:secret@milvus"}, "options of index store 'milvus'")
    monkeypatch.setenv("MILVUS_URI", "http://root:secret@milvus")
    with pytest.raises(UsageError, match="MILVUS_TOKEN"):
        MilvusStore.build(folder, vectors, MilvusOptions(), NullProgress())
    assert list(folder.iterdir()) == []


def test_nobody_answers() -> None:
    with pytest.raises(MotaError, match=r"no Milvus answers at http://127\.0\.0\.1:9"):
        Connection.open("http://127.0.0.1:9")
