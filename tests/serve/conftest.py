"""An index of a small tiny world, and servers of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Running, serving
from tiny_index import TinyIndex, tiny_index

from motacli import Searcher
from motacli.plugins import PluginHost

pytest.importorskip("fastapi", reason="mota serve needs mota[serve]")


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory, host: PluginHost, tiny_backbone: Any) -> TinyIndex:
    """A mini CIRCO, and an index of its pictures with inversion network and adapter."""
    return tiny_index(tmp_path_factory.mktemp("served"), "circo", host, tiny_backbone)


@pytest.fixture(scope="package")
def searcher(world: TinyIndex, host: PluginHost) -> Iterator[Searcher]:
    with Searcher.open(world.path, host=host, device="cpu") as opened:
        yield opened


@pytest.fixture(scope="package")
def server(world: TinyIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with narrow limits, and a picture's id that it knows."""
    limits = ("--timeout", "1.5", "--rate", "0", "--max-upload", "2MB", "--max-pixels", "4000000")
    folder = tmp_path_factory.mktemp("server")
    with serving(world.path, folder, "--device", "cpu", *limits) as running:
        yield running


@pytest.fixture(scope="package")
def picture(world: TinyIndex) -> Path:
    """A file of the index."""
    return world.file_of(world.data.unit.queries[0].reference)
