"""An index store in Milvus: ``mota index FOLDER -o my.mota --store milvus``."""

from __future__ import annotations

from motacli import hookimpl
from motacli.contracts import Register


@hookimpl
def register_index_stores(register: Register) -> None:
    register("milvus", "mota_milvus.store:MilvusStore", summary="a Milvus server, or a file by Milvus Lite")
