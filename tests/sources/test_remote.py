"""The same data at URLs: in fsspec's memory, and behind a web server that counts and fails."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from file_server import Served, serving
from PIL import Image

from motacli.contracts import ImageRef
from motacli.datasets import (
    image_bytes,
    open_any,
    open_image,
    open_pictures,
    open_source,
    picture_exists,
    read_captions,
)
from motacli.errors import DataError, MotaError, UsageError
from motacli.remote import asking, files
from motacli.remote.ranges import MOST, Ranges
from motacli.remote.urls import path_of

COUNT = 12


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of every kind, about the same pictures."""
    root = tmp_path_factory.mktemp("data")
    pictures = root / "my pictures"
    (pictures / "b").mkdir(parents=True)
    rows = [(f"{'b/' * (number % 2)}{number:02}.png", f"thing {number}") for number in range(COUNT)]
    for number, (name, caption) in enumerate(rows):
        (pictures / name).write_bytes(png(number))
        (pictures / name).with_suffix(".txt").write_text(caption)
    named = [{"image": f"my pictures/{name}", "caption": caption} for name, caption in rows]
    (root / "t.csv").write_text("image,caption\n" + "".join(f"{row['image']},{row['caption']}\n" for row in named))
    (root / "t.tsv").write_text("image\tcaption\n" + "".join(f"{row['image']}\t{row['caption']}\n" for row in named))
    (root / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in named))
    (root / "a.json").write_text(json.dumps(named))
    (root / "all.txt").write_text("\n".join(caption for _, caption in rows))
    shards = root / "shards"
    shards.mkdir()
    for shard in range(2):
        members = {}
        for number in range(shard, COUNT, 2):
            members |= {f"d/{number:02}.PNG": png(number), f"d/{number:02}.json": b'{"caption": "of a json"}'}
            members |= {} if number == 2 else {f"d/{number:02}.txt": f"thing {number}".encode()}
        members[f"d/{'long' * 30}é.png"] = png(99)
        members[f"d/{'long' * 30}é.txt"] = b"a long one"
        write_shard(shards / f"s {shard}.tar", members)
    return root


@pytest.fixture(scope="module")
def arrows(data: Path) -> Path:
    """Parquet and Arrow files beside them."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    folder = data / "arrows"
    folder.mkdir()
    captions = [f"thing {number}" for number in range(COUNT)]
    paths = [f"../my pictures/{'b/' * (number % 2)}{number:02}.png" for number in range(COUNT)]
    inside = pa.array([{"bytes": png(number), "path": None} for number in range(COUNT)])
    pq.write_table(pa.table({"image": paths, "caption": captions}), folder / "paths.parquet")
    whole = pa.table({"image": inside, "caption": captions})
    pq.write_table(whole, folder / "bytes.parquet", row_group_size=5)
    with pa.ipc.new_stream(folder / "data-0.arrow", whole.schema) as writer:
        writer.write_table(whole, max_chunksize=5)
    saved = data / "saved"
    saved.mkdir()
    (folder / "data-0.arrow").rename(saved / "data-0.arrow")
    (saved / "state.json").write_text('{"_data_files": [{"filename": "data-0.arrow"}]}')
    return folder


@pytest.fixture(scope="module")
def web(data: Path, arrows: Path) -> Iterator[Served]:
    """A web server with the data."""
    with serving() as served:
        served.add(data)
        yield served


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSES", [0.01, 0.01, 0.01])
    files._kept.forget()


@pytest.fixture
def server(web: Served) -> Iterator[Served]:
    """The same, which works again afterwards."""
    web.forget()
    yield web
    web.ranges, web.fault = True, lambda name: None


@pytest.fixture(scope="module")
def memory(data: Path, arrows: Path) -> str:
    """The data in fsspec's memory."""
    system = fsspec.filesystem("memory")
    for path in data.rglob("*"):
        if path.is_file():
            system.pipe_file(f"/data/{path.relative_to(data).as_posix()}", path.read_bytes())
    return "memory://data"


def told(source: Any) -> list[tuple[str, str, str, bytes]]:
    return [(row.id, row.image.id, row.caption, image_bytes(row.image)) for row in source]


KINDS = [
    "t.csv",
    "t.tsv",
    "t.jsonl",
    "a.json",
    "my pictures",
    "shards",
    "shards/s {0..1}.tar",
    "shards/*.tar",
    "shards/s 1.tar,ROOT/t.csv",
    "arrows/paths.parquet",
    "arrows/bytes.parquet",
    "saved",
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_and_pictures(kind: str, data: Path, memory: str, server: Served) -> None:
    wanted = told(open_source(f"{data}/{kind.replace('ROOT', str(data))}"))
    assert len(wanted) in (COUNT, COUNT + 2, COUNT // 2 + 1 + COUNT)
    for root in (memory, server.url):
        word = kind.replace(" ", "%20") if root == server.url else kind
        source = open_source(f"{root}/{word.replace('ROOT', root)}")
        for _ in range(2):
            assert told(source) == wanted
        assert open_image(next(iter(source)).image).mode == "RGB"


def test_pictures_and_captions_alone(data: Path, memory: str, server: Served) -> None:
    (data / "bare").mkdir()
    (data / "bare" / "x.png").write_bytes(png(1))
    server.add(data)
    fsspec.filesystem("memory").pipe_file("/data/bare/x.png", png(1))
    for root in (memory, server.url):
        assert [ref.id for ref in open_pictures(path_of(f"{root}/bare"))] == ["x.png"]
        assert [ref.id for ref in open_any(f"{root}/bare")] == ["x.png"]  # type: ignore[union-attr]
        assert read_captions(path_of(f"{root}/all.txt"))[3] == "thing 3" == read_captions(path_of(f"{root}/t.csv"))[3]
        assert picture_exists(ImageRef("x", path_of(f"{root}/bare/x.png")))
        assert not picture_exists(ImageRef("x", path_of(f"{root}/bare/y.png")))


def test_a_table_of_urls(tmp_path: Path, server: Served) -> None:
    """Signed anew, a picture keeps its id, by which a build goes on."""
    for signature in ("one", "two"):
        url = f"{server.url}/my%20pictures/00.png?part=7&Expires=5&Signature={signature}"
        (tmp_path / "t.csv").write_text(f"image,caption\n{url},a thing\n")
        (row,) = open_source(tmp_path / "t.csv")
        assert row.image.id == f"{server.url}/my%20pictures/00.png?part=7&Expires=***&Signature=***"
        assert image_bytes(row.image) == png(0)


# ---------------------------------------------------------------------------------------------- requests


def big_shard(count: int, size: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for number in range(count):
            for name, content in ((f"{number:05}.jpg", os.urandom(size)), (f"{number:05}.txt", b"a thing")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize(("threads", "most"), [(1, 15), (8, 60)])
def test_neighbours_share_requests(threads: int, most: int, server: Served) -> None:
    server.files["big.tar"] = big_shard(600, 30_000)
    size = len(server.files["big.tar"])
    rows = list(open_source(f"{server.url}/big.tar"))
    assert len(rows) == 600 and len(server.gets) <= 10 and server.sent <= 1.1 * size
    files._kept.forget()
    server.forget()
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda row: image_bytes(row.image), rows))
    assert all(len(one) == 30_000 for one in found) and found[7] in server.files["big.tar"]
    assert len(server.gets) <= most and server.sent <= 1.2 * size
    server.forget()
    files._kept.forget()
    assert image_bytes(rows[300].image) == found[300]
    assert len(server.gets) == 1 and server.sent < 70_000


def test_a_kept_index(server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTA_SHARD_INDEXES", str(tmp_path / "kept"))
    source = open_source(f"{server.url}/shards/s%20{{0..1}}.tar?Signature=1&Expires=2")
    wanted = told(source)
    server.forget()
    again = list(open_source(f"{server.url}/shards/s%20{{0..1}}.tar?Signature=3&Expires=4"))
    assert not server.gets and told(again) == wanted
    first, second = (tmp_path / "kept").rglob("*.gz")
    first.write_bytes(second.read_bytes()[:50])
    assert told(source) == wanted and len(first.read_bytes()) > 50
    server.files["one.tar"] = big_shard(3, 100)
    assert len(told(open_source(f"{server.url}/one.tar"))) == 3
    server.files["one.tar"] = big_shard(4, 100)
    assert len(told(open_source(f"{server.url}/one.tar"))) == 4


def test_shards_are_gone_through_ahead(server: Served) -> None:
    server.files |= {f"m-{number}.tar": big_shard(2, 100) for number in range(7)}
    source = open_source(f"{server.url}/m-{{0..6}}.tar")
    server.forget()
    rows = iter(source)
    assert next(rows).image.id == "m-0/00000" and {name for name, _ in server.gets} == {"m-0.tar"}
    assert [row.image.id for row in rows][::2] == ["m-0/00001", *(f"m-{number}/00001" for number in range(1, 7))]
    del server.files["m-5.tar"]
    with pytest.raises(DataError, match=r"no such file: .*/m-5\.tar"):
        for row in source:
            last = row.image.id
    assert last == "m-4/00001"


def test_large_members_are_jumped_over(server: Served) -> None:
    server.files["large.tar"] = big_shard(5, 6_000_000)
    assert len(list(open_source(f"{server.url}/large.tar"))) == 5
    assert server.sent < 0.4 * len(server.files["large.tar"])


def test_parquet_is_listed_without_its_pictures(server: Served, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pictures = [os.urandom(20_000) for _ in range(400)]
    table = pa.table({"image": pictures, "caption": [f"thing {number}" for number in range(400)]})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=200, compression="none")
    server.files["p.parquet"] = (tmp_path / "p.parquet").read_bytes()
    rows = list(open_source(f"{server.url}/p.parquet"))
    assert len(rows) == 400 and server.sent < 0.4 * len(server.files["p.parquet"])
    server.forget()
    assert [image_bytes(row.image) for row in rows] == pictures
    assert len(server.gets) < 20 and server.sent < 1.3 * len(server.files["p.parquet"])


def test_any_pieces_of_a_file() -> None:
    content, asked = os.urandom(3_000_000), []

    def fetch(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return content[start:stop]

    ranges, draw = Ranges(fetch, len(content)), np.random.default_rng(3)
    for start, size in zip(draw.integers(0, 3_100_000, 300), draw.integers(0, 200_000, 300), strict=True):
        assert ranges.read(int(start), int(start + size)) == content[start : start + size]
    assert all(0 < stop - start <= MOST for start, stop in asked)
    assert Ranges(fetch, len(content)).read(0, len(content)) == content


def test_what_failed_is_asked_for_again() -> None:
    content, gone = os.urandom(2_000_000), iter([True, False, False, False, False, True])

    def fetch(start: int, stop: int) -> bytes:
        if next(gone, False):
            raise OSError("gone")
        return content[start:stop]

    ranges, lost = Ranges(fetch, len(content)), 0
    for start in range(0, len(content), 10_000):
        try:
            assert ranges.read(start, start + 10_000) == content[start : start + 10_000]
        except OSError:
            lost += 1
    assert lost == 1  # the other one was ahead of its time
    assert next(gone, None) is None


# ---------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("fault", [503, "cut", 429])
def test_what_passes_is_tried_again(fault: int | str, server: Served) -> None:
    faults = iter([fault, fault])
    server.fault = lambda name: next(faults, None) if name.endswith("0.tar") else None
    assert len(list(open_source(f"{server.url}/shards/s%200.tar"))) == COUNT // 2 + 1
    faults = iter([fault])
    server.fault = lambda name: next(faults, None)
    assert image_bytes(ImageRef("x", path_of(f"{server.url}/my%20pictures/00.png"))) == png(0)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (503, r"cannot be read: .*503"),
        ("cut", r"cannot be read: "),
        (403, r"may not be read: 403 \(are the credentials"),
        (404, r"no such"),
    ],
)
def test_what_does_not(fault: int | str, said: str, server: Served) -> None:
    source = open_source(f"{server.url}/shards/s%20{{0..1}}.tar")
    table = open_source(f"{server.url}/t.csv")
    server.fault = lambda name: fault
    with pytest.raises(MotaError, match=rf"s%200\.tar.*{said}|{said}.*s%200\.tar"):
        list(source)
    with pytest.raises(MotaError, match=said):
        list(table)
    with pytest.raises(MotaError, match=said):
        open_image(ImageRef("x", path_of(f"{server.url}/my%20pictures/00.png")))


def test_a_server_that_knows_no_ranges(server: Served) -> None:
    server.ranges = False
    assert len(told(open_source(f"{server.url}/t.csv"))) == COUNT  # is small enough to be read at once
    server.files["big.tar"] = big_shard(100, 30_000)
    server.forget()
    with pytest.raises(MotaError, match=r"/big\.tar: its server gives whole files only"):
        list(open_source(f"{server.url}/big.tar"))
    assert server.sent <= 2 * len(server.files["big.tar"])


def test_what_is_not_there(memory: str, server: Served) -> None:
    for root in (memory, server.url):
        for name in ("none.tar", "none.csv", "none"):
            with pytest.raises(DataError, match=rf"no such data set: {root}/{name}"):
                open_source(f"{root}/{name}")
        with pytest.raises(DataError, match=r"2 of 4 files are missing, the first is .*/shards/s.*2\.tar"):
            open_source(f"{root}/shards/s{'%20' if root == server.url else ' '}{{0..3}}.tar")
        with pytest.raises(DataError, match=r"nothing matches .*/z\*"):
            open_source(f"{root}/z*.tar")
        with pytest.raises(DataError, match=r"unknown kind of data set"):
            open_source(f"{root}/all.txt")
        with pytest.raises(DataError, match="no such folder"):
            open_pictures(path_of(f"{root}/none"))
        with pytest.raises(DataError, match="no such file of captions"):
            read_captions(path_of(f"{root}/none.txt"))


def test_nobody_at_home(memory: str) -> None:
    with pytest.raises(MotaError, match=r"http://\*\*\*@127\.0\.0\.1:9/x\.tar cannot be read: .*Connect") as error:
        open_source("http://me:pw@127.0.0.1:9/x.tar")
    assert "pw" not in repr(error.value) and error.value.__cause__ is None
    with pytest.raises(DataError, match=r"mem://x\.tar: unknown kind of address 'mem' \(did you mean 'memory'"):
        open_source("mem://x.tar")


@pytest.mark.parametrize(
    ("url", "module", "said"),
    [
        ("s3://b/x.tar", "s3fs", r"needs s3fs \(pip install 'mota\[remote\]'\)"),
        ("gs://b/x.tar", "gcsfs", r"needs gcsfs \(pip install 'mota\[remote\]'\)"),
        ("abfs://b/x.tar", "adlfs", r"needs adlfs \(pip install 'adlfs'\)"),
    ],
)
def test_a_missing_package(url: str, module: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, url.partition(":")[0], raising=False)
    with pytest.raises(UsageError, match=said):
        open_source(url)


def test_a_file_that_changes(server: Served) -> None:
    first, second = big_shard(20, 20_000), big_shard(25, 17_000)
    server.files["new.tar"] = first
    rows = list(open_source(f"{server.url}/new.tar"))
    server.files["new.tar"] = second
    files._kept.forget()
    with pytest.raises(DataError, match=r"new\.tar has no member '00005\.jpg' at byte .*has it changed"):
        image_bytes(rows[5].image)
    server.files["new.tar"] = first
    assert len(list(open_source(f"{server.url}/new.tar"))) == 20
    server.files["new.tar"] = second
    assert len(list(open_source(f"{server.url}/new.tar"))) == 25


def _digest(url: str) -> list[str]:
    return [row.caption for row in open_source(url) if len(image_bytes(row.image)) > 50]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(method: str, server: Served) -> None:
    """A process that is forked from one that reads begins anew."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    url = f"{server.url}/shards/s%200.tar"
    wanted = _digest(url)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(_digest, [url]).get(60) == wanted
