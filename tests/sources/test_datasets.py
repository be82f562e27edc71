"""Image-text data sets on disk, mistakes in them by file and line, and the pixels behind a reference."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from motacli.contracts import ImageRef
from motacli.datasets import attribute_box, open_image, open_source, pad_to_square
from motacli.errors import DataError


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(path: Path, **columns: Any) -> list[tuple[str, str]]:
    return [(row.image.id, row.caption) for row in open_source(path, **columns)]


WANTED = [("a/1.png", "a red dog"), ("2.png", "two, dogs")]


# ---------------------------------------------------------------------------------------------- kinds of data sets


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", 'image,caption\na/1.png,a red dog\n2.png,"two, dogs"\n'),
        ("x.csv", '\ufeffimage,caption\r\na/1.png,a red dog\r\n\r\n2.png,"two, dogs"\r\n'),
        ("x.csv", "filepath\ttitle\na/1.png\ta red dog\n2.png\ttwo, dogs\n"),
        ("x.tsv", "n\tFile_Name\tText\n0\ta/1.png\ta red dog\n1\t2.png\t two, dogs \n"),
        ("x.jsonl", '{"image": "a/1.png", "caption": "a red dog"}\n\n{"caption": "two, dogs", "image": "2.png"}'),
    ],
)
def test_tables(name: str, text: str, tmp_path: Path) -> None:
    source = open_source(write(tmp_path, name, text))
    for _ in range(2):  # it can be read again
        found = list(source)
        assert [(row.image.id, row.caption) for row in found] == WANTED
        assert found[0].image.path == tmp_path / "a" / "1.png" and found[0].image.box is None


def test_tsv_knows_no_quoting(tmp_path: Path) -> None:
    path = write(tmp_path, "x.tsv", 'image\tcaption\n1.png\t"big" dog\n2.png\t"open\n')
    assert rows(path) == [("1.png", '"big" dog'), ("2.png", '"open')]


def test_a_folder_with_sidecars(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "a/1.png", "notes.md"):
        write(tmp_path, name, b"")
    write(tmp_path, "b/2.txt", "two dogs\n")
    write(tmp_path, "a/1.txt", "\ufeffa red dog")
    source = open_source(tmp_path)
    assert rows(tmp_path) == [("a/1.png", "a red dog"), ("b/2.JPG", "two dogs")]
    assert len(source) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["captions.jsonl", "captions.csv", "captions.tsv"])
def test_a_folder_with_a_captions_file_is_read_through_it(name: str, tmp_path: Path) -> None:
    write(tmp_path, "images/1.png", b"")  # would need a sidecar otherwise
    text = {
        "captions.jsonl": json.dumps({"image": "images/1.png", "caption": "dog"}),
        "captions.csv": "image,caption\nimages/1.png,dog\n",
        "captions.tsv": "image\tcaption\nimages/1.png\tdog\n",
    }[name]
    write(tmp_path, name, text)
    (row,) = open_source(tmp_path)
    assert (row.image.id, row.image.path, row.caption) == ("images/1.png", tmp_path / "images" / "1.png", "dog")


def test_two_captions_files_are_ambiguous(tmp_path: Path) -> None:
    for suffix in ("csv", "tsv"):
        write(tmp_path, f"captions.{suffix}", "")
    with pytest.raises(DataError, match=r"captions\.csv and captions\.tsv"):
        open_source(tmp_path)


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", "image,caption,thumb,alt\n1.png,one,t.png,other\n")
    assert rows(path, image_column="thumb", caption_column="alt") == [("t.png", "other")]
    with pytest.raises(DataError, match=r"x\.csv:1: no column 'tumb' .*'thumb'"):
        rows(path, image_column="tumb")


# ---------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.csv", "image,caption\n1.png,one\n2.png\n", r"x\.csv:3: 1 fields where the header has 2"),
        ("x.csv", "image,caption\n1.png,\n", r"x\.csv:2: the caption is empty"),
        ("x.csv", "image,caption\n,one\n", r"x\.csv:2: the image path is empty"),
        ("x.csv", 'image,caption\n1.png,"one\n', r"x\.csv:2: .*quotation mark"),
        ("x.csv", b"image,caption\n1.png,caf\xe9\n", r"x\.csv:\d: not UTF-8"),
        ("x.csv", "picture,caption\n", r"x\.csv:1: no image column among 'picture', 'caption'"),
        ("x.csv", "", r"x\.csv: empty file"),
        ("x.jsonl", '{"image": "1.png", "caption": "one"}\n{"image": "2.png"}\n', r"x\.jsonl:2: no 'caption'"),
        ("x.jsonl", '{"image": "1.png", "caption": 3}\n', r"x\.jsonl:1: the caption is 3, not text"),
        ("x.jsonl", '\n{"image": \n', r"x\.jsonl:2: not valid JSON"),
        ("x.jsonl", "[1]\n", r"x\.jsonl:1: not a JSON object"),
        ("x.jsonl", "\n\n", r"x\.jsonl: empty file"),
        ("x.jsonl", b'{"image": "caf\xe9.png"}', r"x\.jsonl:1: not UTF-8"),
    ],
)
def test_mistakes_name_file_and_line(name: str, text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        rows(write(tmp_path, name, text))


def test_rows_before_a_mistake_are_given(tmp_path: Path) -> None:
    source = iter(open_source(write(tmp_path, "x.csv", "image,caption\n1.png,one\n2.png\n")))
    assert next(source).caption == "one"
    with pytest.raises(DataError):
        next(source)


@pytest.mark.parametrize(
    ("name", "sidecar", "said"),
    [
        ("1.png", None, r"1\.png: no caption .*1\.txt"),
        ("1.png", b" \n", "is empty"),
        ("1.png", b"\xff\xe9", "not UTF-8"),
    ],
)
def test_sidecar_mistakes(name: str, sidecar: bytes | None, said: str, tmp_path: Path) -> None:
    write(tmp_path, name, b"")
    if sidecar is not None:
        write(tmp_path, "1.txt", sidecar)
    with pytest.raises(DataError, match=said):
        rows(tmp_path)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    cases = {"none": "no such data set", "x.xlsx": "unknown kind of data set", "empty": "no pictures in this folder"}
    write(tmp_path, "x.xlsx", "")
    for name, said in cases.items():
        with pytest.raises(DataError, match=said):
            open_source(tmp_path / name)


# ---------------------------------------------------------------------------------------------- pixels


def saved(folder: Path, image: Image.Image, name: str = "x.png", **how: Any) -> ImageRef:
    image.save(folder / name, **how)
    return ImageRef("x", folder / name)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (3, 2), (255, 255, 255)).convert(mode)
    found = open_image(saved(tmp_path, image, "x.tif" if mode == "CMYK" else "x.png"))
    assert (found.mode, found.size, found.getpixel((0, 0))) == ("RGB", (3, 2), (255, 255, 255))


def test_sixteen_bits_are_scaled_rather_than_clipped(tmp_path: Path) -> None:
    ref = saved(tmp_path, Image.fromarray(np.full((2, 2), 0x8000, np.uint16)))
    assert open_image(ref).getpixel((0, 0)) == (128, 128, 128)


def test_a_palette_with_transparency_gives_no_warning(tmp_path: Path) -> None:
    ref = saved(tmp_path, Image.new("P", (2, 2)), transparency=b"\x00\x10")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(ref).mode == "RGB"


def test_missing_empty_and_cut_off_pictures_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such picture: .*none\.png .*'gone'"):
        open_image(ImageRef("gone", tmp_path / "none.png"))
    with pytest.raises(DataError, match="the file is empty"):
        open_image(ImageRef("x", write(tmp_path, "empty.png", b"")))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    ref = saved(tmp_path, noise)
    ref.path.write_bytes(ref.path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cannot decode .*x\.png"):
        open_image(ref)


def test_the_box_of_genecis_by_hand(tmp_path: Path) -> None:
    # 0.7 of the box's size is taken off the left and top; the crop is 1.7 times the box, clipped at the edges.
    assert attribute_box((50, 40, 10, 20), (100, 100)) == pytest.approx((43, 26, 60, 60))
    assert attribute_box((2, 40, 10, 20), (100, 100)) == pytest.approx((0, 26, 17, 60))
    assert attribute_box((95, 90, 10, 20), (100, 100)) == pytest.approx((88, 76, 100, 100))
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[26:60, 43:60] = 255
    ref = saved(tmp_path, Image.fromarray(pixels))
    found = np.asarray(open_image(ImageRef("x", ref.path, (50, 40, 10, 20))))
    assert found.shape == (34, 34, 3)
    assert (found[:, 8:25] == 255).all() and not found[:, :8].any() and not found[:, 25:].any()


def test_a_box_outside_the_picture_is_an_error_of_the_data(tmp_path: Path) -> None:
    ref = saved(tmp_path, Image.new("RGB", (10, 10)))
    with pytest.raises(DataError, match="leaves nothing of a picture of 10×10"):
        open_image(ImageRef("x", ref.path, (50, 2, 3, 3)))


@given(width=st.integers(1, 40), height=st.integers(1, 40))
def test_padding_keeps_the_picture_in_the_middle(width: int, height: int) -> None:
    found = np.asarray(pad_to_square(Image.new("RGB", (width, height), (9, 9, 9))))
    side = max(width, height)
    assert found.shape == (side, side, 3) and (found == 9).all(axis=2).sum() == width * height
    ys, xs = np.nonzero(found[:, :, 0])
    assert (xs.min(), ys.min()) == ((side - width) // 2, (side - height) // 2)
