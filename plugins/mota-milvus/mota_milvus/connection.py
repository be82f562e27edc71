"""A connection to a Milvus server, or to a file that Milvus Lite serves within this process."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motacli import MotaError
from motacli.extras import needed

TOKEN = "MILVUS_TOKEN"
_users: Counter[str] = Counter()
_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class Connection:
    """``client`` is pymilvus's own, of the server or file at ``uri``."""

    client: Any
    uri: str
    _closed: threading.Event

    @classmethod
    def open(cls, uri: str) -> Connection:
        """Connect. Raises `MotaError` where nobody answers, and where another process has the file."""
        if is_file(uri):
            needed("milvus_lite", "lite", "a file of Milvus")
        from pymilvus import MilvusClient, MilvusException

        with _lock:
            try:
                client = MilvusClient(uri, token=os.environ.get(TOKEN, ""), timeout=20, dedicated=True)
            except MilvusException as error:
                raise _unreachable(uri, error) from error
            _users[uri] += 1
        return cls(client, uri, threading.Event())

    def create(self, collection: str, width: int, index_type: str) -> None:
        """A collection of unit vectors of that width by row number, with an index."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=width)
        index = self.client.prepare_index_params()
        index.add_index(field_name="vector", index_type=index_type, metric_type="IP")
        self.client.create_collection(collection, schema=schema, index_params=index, consistency_level="Strong")

    def count(self, collection: str) -> int | None:
        """How many rows there are; None where there is no such collection."""
        if not self.client.has_collection(collection):
            return None
        self.client.load_collection(collection)
        return int(self.client.query(collection, filter="", output_fields=["count(*)"])[0]["count(*)"])

    def search(self, collection: str, queries: np.ndarray, limit: int) -> list[np.ndarray] | None:
        """The rows found for each query ``(Q, d)``, best first; None where the collection is gone.

        Raises `MotaError` where Milvus fails.
        """
        from pymilvus import MilvusException

        if not len(queries):
            return []
        asked = list(np.ascontiguousarray(queries, dtype=np.float32))
        try:
            found = self.client.search(collection, asked, limit=limit, anns_field="vector", output_fields=["row"])
        except MilvusException as error:
            if not self.client.has_collection(collection):
                return None
            raise MotaError(f"Milvus at {self.uri} failed: {str(error).splitlines()[0]}") from error
        return [np.array([hit["row"] for hit in hits], dtype=np.int64) for hits in found]

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


def is_file(uri: str) -> bool:
    """Whether Milvus Lite serves it."""
    return "://" not in uri


def _unreachable(uri: str, error: Exception) -> MotaError:
    if is_file(uri):
        hint = "one process at a time: end the other, or use a server (MILVUS_URI)"
        return MotaError(f"Milvus Lite cannot open {Path(uri)}", hint)
    return MotaError(f"no Milvus answers at {uri}: {str(error).splitlines()[0]}", f"see MILVUS_URI and {TOKEN}")
