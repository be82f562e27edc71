"""Commands on data at URLs: the same bits, the same records but for where the data is, and no secrets in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from file_server import Served, serving
from test_remote import png, write_shard

from motacli.cache import CacheOptions, FeatureCache, build_cache
from motacli.cli import main
from motacli.datasets import open_source
from motacli.errors import MotaError
from motacli.remote import asking, files

COUNT, BATCH = 40, 4


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two shards and a table."""
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(2):
        numbers = range(shard * COUNT // 2, (shard + 1) * COUNT // 2)
        pictures = {f"{number:03}.png": png(6 * number) for number in numbers}
        texts = {f"{number:03}.txt": f"a red dog and thing {number}".encode() for number in numbers}
        write_shard(folder / f"s-{shard}.tar", dict(sorted({**pictures, **texts}.items())))
    return folder


@pytest.fixture
def server(shards: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The same on a web server."""
    monkeypatch.setattr(asking, "PAUSES", [0.01])
    files._kept.forget()
    with serving() as served:
        served.add(shards)
        yield served


@pytest.fixture(scope="module")
def local(shards: Path, tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Any) -> FeatureCache:
    """Features of the files here."""
    path = tmp_path_factory.mktemp("local") / "f.h5"
    return build_cache(path, tiny_backbone, open_source(shards), batch_size=BATCH)


def same(cache: FeatureCache, local: FeatureCache) -> bool:
    """Whether two caches hold the same bits, of data of the same digest."""
    pairs = [(cache.features(), local.features()), (cache.text_features(), local.text_features())]
    alike = all(np.array_equal(mine, yours) for mine, yours in pairs)
    return alike and list(cache.ids) == list(local.ids) and cache.header.source == local.header.source


@pytest.mark.parametrize(
    ("decode", "workers"), [("threads", 3), pytest.param("processes", 1, marks=pytest.mark.thorough)]
)
def test_the_same_bits(
    decode: Any, workers: int, shards: Path, local: FeatureCache, server: Served, tmp_path: Path, tiny_backbone: Any
) -> None:
    system = fsspec.filesystem("memory")
    for path in shards.iterdir():
        system.pipe_file(f"/cached/{path.name}", path.read_bytes())
    root = "memory://cached" if decode == "processes" else server.url  # which other processes cannot see
    options = CacheOptions(decode=decode, strict=True)
    source = open_source(f"{root}/s-{{0..1}}.tar")
    assert same(
        build_cache(tmp_path / "f.h5", tiny_backbone, source, batch_size=BATCH, workers=workers, options=options), local
    )


def test_a_build_goes_on(local: FeatureCache, server: Served, tmp_path: Path, tiny_backbone: Any) -> None:
    """A server is gone for a while; what was encoded before is not fetched again."""
    rows = list(open_source(f"{server.url}/s-*.tar"))
    files._kept.forget()
    server.fault = lambda name: 503 if name == "s-1.tar" else None
    with pytest.raises(MotaError, match=r"s-1\.tar cannot be read: .*503"):
        build_cache(tmp_path / "f.h5", tiny_backbone, rows, batch_size=BATCH)
    server.fault = lambda name: None
    server.forget()
    files._kept.forget()
    assert same(build_cache(tmp_path / "f.h5", tiny_backbone, rows, batch_size=BATCH), local)
    assert {name for name, _ in server.gets} == {"s-1.tar"}


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_pictures_that_cannot_be_had(server: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed = "?Signature=f00d&Expires=1"
    server.files |= {f"{number}.png": png(number) for number in range(6)}
    lines = [f"{server.url}/{number}.png{signed},a red dog {number}" for number in range(6)]
    (tmp_path / "t.csv").write_text("image,caption\n" + "\n".join(lines) + "\n")
    server.fault = lambda name: {"2.png": 403, "4.png": "cut"}.get(name)
    assert run("cache", tmp_path / "t.csv", "-o", tmp_path / "f.h5", "--workers", "2") == 0
    broken = [json.loads(line) for line in (tmp_path / "f.h5.errors.jsonl").read_text().splitlines()]
    assert [one["id"] for one in broken] == [f"{server.url}/{n}.png?Signature=***&Expires=***" for n in (2, 4)]
    assert "may not be read: 403" in broken[0]["reason"] and "cannot be read" in broken[1]["reason"]
    server.fault = lambda name: None
    assert run("cache", tmp_path / "t.csv", "-o", tmp_path / "f.h5", "--append") == 0
    assert len(FeatureCache(tmp_path / "f.h5")) == 6
    assert run("cache", tmp_path / "none.h5", "-o", tmp_path / "g.h5") == 1
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name != "t.csv")
    assert b"f00d" not in written and "f00d" not in "".join(capsys.readouterr())


def test_commands(server: Served, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`mota gen-triplets` and `mota train-inversion` read URLs, with a password in them too."""
    server.files["c.txt"] = b"\n".join(b"a red dog and thing %d" % number for number in range(64))
    url = server.url.replace("http://", "http://me:pw@")
    for name, source in (("here", shards), ("there", f"{url}/s-{{0..1}}.tar")):
        assert run("gen-triplets", source, "-o", tmp_path / f"{name}.jsonl", "--seed", "1") == 0
    assert (tmp_path / "there.jsonl").read_bytes() == (tmp_path / "here.jsonl").read_bytes()
    meta = json.loads((tmp_path / "there.meta.json").read_text())
    assert meta["source"] == f"{server.url.replace('http://', 'http://***@')}/s-{{0..1}}.tar"
    trained = ("train-inversion", "lincir", "--captions", f"{url}/c.txt", "--out", tmp_path / "phi", "--steps", "2")
    assert run(*trained, "--batch-size", "8", "--recipe", "tiny") == 0
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"me:pw" not in written and "me:pw" not in "".join(capsys.readouterr())
    config = json.loads((tmp_path / "phi" / "config.json").read_text())
    assert config["train-inversion"]["captions"] == f"{server.url.replace('http://', 'http://***@')}/c.txt"


def test_a_missing_package_is_no_broken_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("image,caption\nabfs://b/1.png,a dog\n")
    monkeypatch.setitem(sys.modules, "adlfs", None)
    assert run("cache", tmp_path / "t.csv", "-o", tmp_path / "f.h5") == 2
