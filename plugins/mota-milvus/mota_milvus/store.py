"""The `milvus` store: a collection for each state of an index, which finds candidates that are then scored exactly."""

from __future__ import annotations

import json
import math
import os
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from mota_milvus.connection import Connection
from mota_milvus.filling import fill
from motacli import DataError, MotaError, UsageError
from motacli.console import Progress
from motacli.search.exact import ExactOptions, ExactStore
from motacli.search.rescoring import best_of
from motacli.search.vectors import Vectors

PLACE, FILE = "milvus.json", "rows.db"
MOST = 16384
"""What Milvus answers at most."""
SPARSE = 16
"""Where fewer than one row in so many is allowed, just those are compared, from the index's own features."""


@dataclass(frozen=True)
class MilvusOptions:
    """``uri`` is a server's address, as ``http://localhost:19530``; without it the variable ``MILVUS_URI`` says it, and
    where that is unset too, rows are in a file of the index. A token is in ``MILVUS_TOKEN``, and written down nowhere.
    ``index_type`` is an index of Milvus that needs no parameters. ``spare``: rows fetched for each one asked for.
    ``writers`` fill a server's collection at once, in threads.
    """

    uri: str = ""
    index_type: str = "AUTOINDEX"
    spare: float = 2.0
    writers: int = 1

    def __post_init__(self) -> None:
        if "@" in self.uri:
            raise ValueError("uri is kept in the index: leave the password out, and give MILVUS_TOKEN")
        if not self.spare >= 1:
            raise ValueError(f"spare must be at least 1, not {self.spare}")
        if self.writers < 1:
            raise ValueError(f"writers must be at least 1, not {self.writers}")


@dataclass(frozen=True)
class Place:
    """Where rows are: ``collection`` at ``uri``, or in the file beside where it is none."""

    collection: str
    uri: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What a build wrote down; `DataError` where it did not."""
        try:
            return cls(**json.loads((folder / PLACE).read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{folder / PLACE} does not say where the rows are", "build the index again") from error

    def connect(self, folder: Path) -> Connection:
        """A connection; `MILVUS_URI` goes first, as a server may have got another address since."""
        return Connection.open(os.environ.get("MILVUS_URI", self.uri) if self.uri else str(folder / FILE))


class MilvusStore:
    """Candidates come from Milvus, scores from the features that the index keeps, so that they are exact."""

    name = "milvus"
    Options: ClassVar[type[MilvusOptions]] = MilvusOptions

    def __init__(self, vectors: Vectors, options: MilvusOptions, connection: Connection, collection: str) -> None:
        self._vectors, self._options = vectors, options
        self._connection, self._collection = connection, collection
        self._exact = ExactStore(vectors, ExactOptions())

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, options: MilvusOptions, progress: Progress) -> None:
        """Fill a new collection; it is dropped again where that comes to nothing."""
        place = Place(f"mota_{uuid.uuid4().hex}", options.uri or os.environ.get("MILVUS_URI", ""))
        if "@" in place.uri:
            raise UsageError("MILVUS_URI is kept in the index", "leave the password out, and give MILVUS_TOKEN")
        (folder / PLACE).write_text(json.dumps(asdict(place)), "utf-8")
        connection = place.connect(folder)
        try:
            connection.create(place.collection, vectors.width, options.index_type)
            fill(connection, place.collection, vectors, options.writers, progress)
        except BaseException:
            with suppress(MotaError):  # a server that is down keeps it until another build asks to forget it
                connection.drop(place.collection)
            raise
        finally:
            connection.close()

    @classmethod
    def open(cls, folder: Path, vectors: Vectors, options: MilvusOptions) -> Self:
        """The collection that was filled; `DataError` where it is gone or holds other rows."""
        place = Place.read(folder)
        connection = place.connect(folder)
        try:
            rows = connection.count(place.collection)
            if rows != len(vectors):
                there = "is gone" if rows is None else f"holds {rows} rows, not {len(vectors)}"
                raise DataError(f"Milvus collection {place.collection} {there}", "build the index again")
        except BaseException:
            connection.close()
            raise
        return cls(vectors, options, connection, place.collection)

    @classmethod
    def forget(cls, folder: Path, options: MilvusOptions) -> None:
        """Drop the collection of a state that is about to be removed."""
        if not (folder / PLACE).exists():
            return
        place = Place.read(folder)
        if place.uri:
            connection = place.connect(folder)
            try:
                connection.drop(place.collection)
            finally:
                connection.close()

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `motacli.contracts.IndexStore`; scores are exact ones (`motacli.similarity`) rounded to float32."""
        k = min(k, len(self._vectors))
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / max(len(allowed), 1)
        wanted = math.ceil(k * self._options.spare / share) if share else MOST + 1
        if wanted > MOST or share * SPARSE < 1:
            return self._exact.search(queries, k, allowed)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        answer = self._connection.search(self._collection, queries, wanted)
        if answer is None:  # dropped by an update, while whoever asks has not gone over to the new state yet
            return self._exact.search(queries, k, allowed)
        for number, found in enumerate(answer):
            kept = found if allowed is None else found[allowed[found]]
            if len(kept) < k:  # what is allowed is not where the query is
                here = queries[[number]]
                rows[[number]], scores[[number]] = self._exact.search(here, k, allowed)
                continue
            rows[number], scores[number] = best_of(self._vectors, queries[number], kept, k)
        return rows, scores

    def close(self) -> None:
        """Disconnect; a file's server ends with the last store that has it open."""
        self._connection.close()
        self._exact.close()
