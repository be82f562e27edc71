"""S3, as moto plays it on loopback. Not among what tests need: ``pip install 'moto[server]' s3fs`` has them run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from test_remote import png, write_shard

from motacli.cache import build_cache
from motacli.datasets import image_bytes, open_source
from motacli.errors import DataError, MotaError
from motacli.remote import asking, files

moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]' s3fs")
pytest.importorskip("s3fs", reason="s3fs is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards."""
    folder = tmp_path_factory.mktemp("s3")
    for shard in range(3):
        members = {}
        for number in range(shard * 5, shard * 5 + 5):
            members |= {f"{number:03}.png": png(number), f"{number:03}.txt": f"thing {number}".encode()}
        write_shard(folder / f"s-{shard}.tar", members)
    return folder


@pytest.fixture(scope="module")
def bucket(data: Path) -> Iterator[Any]:
    """A bucket with them below ``web/data``, a table of keys, and the client that put them there."""
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="pictures")
        for path in data.iterdir():
            client.upload_file(str(path), "pictures", f"web/data/{path.name}")
        client.put_object(Bucket="pictures", Key="web//odd?%20.png", Body=png(7))
        table = "image,caption\n../odd,one\ns3://pictures/web//odd?%20.png,two\n"
        client.put_object(Bucket="pictures", Key="web/t/t.csv", Body=table.encode())
        client.put_object(Bucket="pictures", Key="web/odd", Body=png(8))
        yield client
    server.stop()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.parametrize("word", ["s-{0..2}.tar", "s-*.tar", "", "s-?.tar"])
def test_shards(word: str, data: Path, bucket: Any) -> None:
    wanted = [(row.id, row.caption, image_bytes(row.image)) for row in open_source(data)]
    found = open_source(f"s3://pictures/web/data/{word}")
    assert [(row.id, row.caption, image_bytes(row.image)) for row in found] == wanted


def test_a_table_of_keys(bucket: Any) -> None:
    rows = list(open_source("s3://pictures/web/t/t.csv"))
    assert [image_bytes(row.image) for row in rows] == [png(8), png(7)]
    assert [row.id for row in rows] == ["../odd", "s3://pictures/web//odd?%20.png"]


def test_a_signed_url(bucket: Any) -> None:
    where = {"Bucket": "pictures", "Key": "web/data/s-1.tar"}
    rows = list(open_source(bucket.generate_presigned_url("get_object", where)))
    assert rows[0].id == "s-1/005" and image_bytes(rows[0].image) == png(5)
    assert "Signature=***" in rows[0].image.place and "someone" not in rows[0].image.place


def test_a_cache(data: Path, bucket: Any, tmp_path: Path, tiny_backbone: Any) -> None:
    caches = [
        build_cache(tmp_path / name, tiny_backbone, open_source(source), batch_size=4)
        for name, source in (("here.h5", data), ("there.h5", "s3://pictures/web/data/s-{0..2}.tar"))
    ]
    assert np.array_equal(caches[0].features(), caches[1].features())
    assert caches[0].header.source == caches[1].header.source


def test_what_is_not_there(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSES", [0.01])
    for url in ("s3://pictures/none.tar", "s3://nobody/x.tar", "s3://nobody/x"):
        with pytest.raises(DataError, match=f"no such data set: {url}"):
            open_source(url)
    with pytest.raises(DataError, match=r"1 of 4 files are missing, the first is s3://pictures/web/data/s-3\.tar"):
        open_source("s3://pictures/web/data/s-{0..3}.tar")


def test_without_credentials(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    files._kept.forget()
    with pytest.raises(MotaError, match=r"may not be read: NoCredentialsError: .* \(are the credentials there"):
        open_source("s3://pictures/web/data/s-0.tar")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
