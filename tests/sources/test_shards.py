"""Image-text pairs in tar files."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motacli.cache import build_cache
from motacli.contracts import ImageRef
from motacli.datasets import open_image, open_source
from motacli.datasets.shards import read_member
from motacli.errors import DataError


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    write_shard(
        tmp_path / "s-00.tar",
        {
            "000.png": png(10),
            "000.txt": b" a red dot ",
            "000.json": b"{}",
            "sub/001.PNG": png(20),
            "sub/001.txt": b"two",
        },
    )
    third = {"002.json": json.dumps({"caption": "three", "url": "x"}).encode(), "002.png": png(30)}
    write_shard(tmp_path / "s-01.tar", third)
    return tmp_path


@pytest.mark.parametrize("form", ["", "s-{00..01}.tar"])
def test_rows_come_in_the_order_of_the_shards(form: str, shards: Path) -> None:
    rows = list(open_source(shards / form))
    assert [(row.image.id, row.caption) for row in rows] == [
        ("s-00/000", "a red dot"),
        ("s-00/sub/001", "two"),
        ("s-01/002", "three"),
    ]
    shades = [open_image(row.image).getpixel((0, 0)) for row in rows]
    assert shades == [(10, 0, 0), (20, 0, 0), (30, 0, 0)]
    assert len(list(open_source(shards / "s-01.tar"))) == 1


def test_a_feature_file_is_made_from_shards_as_from_files(shards: Path, tmp_path: Path, tiny_backbone: Any) -> None:
    cache = build_cache(tmp_path / "f.h5", tiny_backbone, open_source(shards))
    folder = tmp_path / "files"
    folder.mkdir()
    for number, row in enumerate(open_source(shards)):
        (folder / f"{number}.png").write_bytes(read_member(row.image.path, row.image.member))
        (folder / f"{number}.txt").write_text(row.caption)
    plain = build_cache(tmp_path / "g.h5", tiny_backbone, open_source(folder))
    assert np.allclose(cache.features(), plain.features(), atol=1e-5) and cache.captions() == plain.captions()


def test_what_img2dataset_writes(tmp_path: Path) -> None:
    members = {}
    for number in range(3):
        record = {"key": f"00000000{number}", "caption": f"from json {number}", "url": "http://x/y.jpg", "id": "other"}
        members |= {
            f"00000000{number}.jpg": png(number),
            f"00000000{number}.txt": f"caption {number}".encode(),
            f"00000000{number}.json": json.dumps(record).encode(),
        }
    write_shard(tmp_path / "00000.tar", members)
    (tmp_path / "00000.parquet").write_bytes(b"of the download's log, which is not read")
    (tmp_path / "00000_stats.json").write_text("{}")
    found = list(open_source(tmp_path))
    assert [(row.id, row.caption) for row in found] == [(f"00000/00000000{n}", f"caption {n}") for n in range(3)]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"000.txt": b"a"}, "'000' has no picture"),
        ({"000.png": b"x"}, "'000' has no caption"),
        ({"000.png": b"x", "000.txt": b" "}, "'000' has no caption"),
        ({"000.png": b"x", "000.json": b"{"}, "caption of '000' cannot be read"),
        ({"000.png": b"x", "000.json": b"[1]"}, "caption of '000' cannot be read"),
        ({"000.png": b"x", "000.txt": b"\xff"}, "caption of '000' cannot be read"),
        ({"README": b"x"}, "holds no rows"),
    ],
)
def test_rows_that_are_none_are_named(members: dict[str, bytes], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        list(open_source(write_shard(tmp_path / "bad.tar", members)))


def test_shards_that_are_none(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("x" * 600)
    with pytest.raises(DataError, match="is no tar file"):
        list(open_source(tmp_path / "text.tar"))
    with pytest.raises(DataError, match=r"1 of 3 files are missing, the first is .*s-02"):
        open_source(shards / "s-{00..02}.tar")
    with pytest.raises(DataError, match="no such data set"):
        list(open_source(tmp_path / "gone.tar"))
    with pytest.raises(DataError, match="has no member 'x'"):
        open_image(ImageRef("a", shards / "s-01.tar", member="x"))
    broken = write_shard(tmp_path / "broken.tar", {"0.png": b"no picture", "0.txt": b"a"})
    with pytest.raises(DataError, match=r"cannot decode .*broken\.tar/0\.png"):
        open_image(next(iter(open_source(broken))).image)
