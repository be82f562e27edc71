"""Pictures as models are shown them: the file's own bytes, and nothing that is no picture."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from PIL import Image

from motacli.contracts import ImageRef
from motacli.errors import DataError
from motacli.triplets.pictures import data_uri


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "bmp"])
def test_a_picture_is_its_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (5, 4), "red").save(path, kind)
    head, data = data_uri(ImageRef("x", path)).split(",")
    assert head == f"data:image/{kind};base64" and base64.b64decode(data) == path.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"BMW is a maker of cars, and this is text",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"RIFF",
        b"<svg/>",
        b"%PDF-1.4",
        b"\x89PN",
    ],
)
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png is no picture that models take"):
        data_uri(ImageRef("x", path))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such picture: .*gone\.png"):
        data_uri(ImageRef("x", tmp_path / "gone.png"))
    with pytest.raises(DataError, match="cannot read"):
        data_uri(ImageRef("x", tmp_path))
