"""A connection to a Milvus server, or to a file that Milvus Lite serves within this process."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motacli import MotaError
from motacli.extras import needed

TOKEN = "MILVUS_TOKEN"
CONNECT_S, ANSWER_S, FLUSH_S = 20, 60, 3600
"""Seconds that a connection, an answer, and all rows of a collection on the disk may take."""
BYTES_AT_ONCE = 4 << 20
"""Of vectors in one message: servers refuse those of more than 64 MB, and pass on smaller ones."""
OWN: dict[str, Any] = {"dedicated": True, "grpc_options": {"grpc.use_local_subchannel_pool": 1}}
"""A channel for each client: one that lost its server must not make those wait that look for it anew."""
_users: Counter[str] = Counter()
_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class Connection:
    """``client`` is pymilvus's own, of the server or file at ``uri``. Raises `MotaError` whenever Milvus fails."""

    client: Any
    uri: str
    _closed: threading.Event

    @classmethod
    def open(cls, uri: str) -> Connection:
        """Connect. Raises `MotaError` where nobody answers, and where another process has the file."""
        if is_file(uri):
            needed("milvus_lite", "lite", "a file of Milvus")
        from pymilvus import MilvusClient, MilvusException

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it would log a traceback of each error besides
        with _lock:
            try:
                client = MilvusClient(uri, token=os.environ.get(TOKEN, ""), timeout=CONNECT_S, **OWN)
            except MilvusException as error:
                raise _unreachable(uri, error) from error
            _users[uri] += 1
        return cls(client, uri, threading.Event())

    def is_lite(self) -> bool:
        """Whether Milvus Lite is behind it, in this process or as a server."""
        with self._explained():
            return str(self.client.get_server_version(timeout=ANSWER_S)).startswith("milvus_lite")

    def create(self, collection: str, width: int, index_type: str) -> None:
        """A collection of unit vectors of that width by row number, with an index."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=width)
        index = self.client.prepare_index_params()
        index.add_index(field_name="vector", index_type=index_type, metric_type="IP")
        how: dict[str, Any] = {"schema": schema, "index_params": index, "consistency_level": "Strong"}
        with self._explained():
            self.client.create_collection(collection, timeout=ANSWER_S, **how)

    def insert(self, collection: str, first: int, units: np.ndarray) -> None:
        """Add unit vectors ``(n, d)``, float32, as the rows from ``first`` on."""
        rows = [{"row": first + number, "vector": unit} for number, unit in enumerate(units)]
        with self._explained():
            self.client.insert(collection, rows, timeout=ANSWER_S)

    def flush(self, collection: str) -> None:
        """Wait until all rows are on the server's disk."""
        with self._explained():
            self.client.flush(collection, timeout=FLUSH_S)

    def count(self, collection: str) -> int | None:
        """How many rows there are, once it can be searched; None where there is no such collection."""
        with self._explained():
            if not self.client.has_collection(collection, timeout=ANSWER_S):
                return None
            self.client.load_collection(collection, timeout=FLUSH_S)
            found = self.client.query(collection, filter="", output_fields=["count(*)"], timeout=ANSWER_S)
            return int(found[0]["count(*)"])

    def search(self, collection: str, queries: np.ndarray, limit: int) -> list[np.ndarray] | None:
        """The rows found for each query ``(Q, d)``, best first; None where the collection is gone."""
        found: list[np.ndarray] = []
        size = queries_at_once(queries.shape[1], limit)
        for start in range(0, len(queries), size):
            hits = self._search(collection, queries[start : start + size], limit)
            if hits is None:
                return None
            found += hits
        return found

    def drop(self, collection: str) -> None:
        """Remove a collection; one that is not there does not matter."""
        with self._explained():
            self.client.drop_collection(collection, timeout=ANSWER_S)

    def close(self) -> None:
        """Disconnect; the server of a file ends with its last connection."""
        with _lock:
            if self._closed.is_set():
                return
            self._closed.set()
            self.client.close()
            _users[self.uri] -= 1
            if is_file(self.uri) and not _users[self.uri]:
                from milvus_lite.server_manager import server_manager_instance

                server_manager_instance.release_server(self.uri)

    def _search(self, collection: str, queries: np.ndarray, limit: int) -> list[np.ndarray] | None:
        from pymilvus import MilvusException

        asked = list(np.ascontiguousarray(queries, dtype=np.float32))
        how: dict[str, Any] = {"limit": limit, "anns_field": "vector", "output_fields": ["row"], "timeout": ANSWER_S}
        with self._explained():
            try:
                found = self.client.search(collection, asked, **how)
            except MilvusException:
                if self.count(collection) is None:
                    return None
                found = self.client.search(collection, asked, **how)  # a server that was started anew had it unloaded
        return [np.array([hit["row"] for hit in hits], dtype=np.int64) for hits in found]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell what Milvus or the way there got wrong in one line."""
        from grpc import RpcError
        from pymilvus import MilvusException

        try:
            yield
        except (MilvusException, RpcError) as error:
            raise MotaError(f"Milvus at {self.uri} failed: {_one_line(error)}", "is it up?") from error


def rows_at_once(width: int) -> int:
    """Rows of so many numbers that one message may hold."""
    return max(1, BYTES_AT_ONCE // (4 * width + 16))


def queries_at_once(width: int, limit: int) -> int:
    """Queries that may be asked in one message: neither they nor the answers, of 16 bytes a row, may be too long."""
    return max(1, BYTES_AT_ONCE // (4 * width + 16 * limit))


def is_file(uri: str) -> bool:
    """Whether Milvus Lite serves it."""
    return "://" not in uri


def _unreachable(uri: str, error: Exception) -> MotaError:
    if is_file(uri):
        hint = "one process at a time: end the other, or use a server (MILVUS_URI)"
        return MotaError(f"Milvus Lite cannot open {Path(uri)}", hint)
    return MotaError(f"no Milvus answers at {uri}: {_one_line(error)}", f"see MILVUS_URI and {TOKEN}")


def _one_line(error: Exception) -> str:
    """What went wrong, without what pymilvus writes around it."""
    said = getattr(error, "message", "") or str(error)
    return next(iter(said.splitlines()), type(error).__name__)
