"""Parquet files: paths or whole pictures in their image column, read a few rows at a time."""

from __future__ import annotations

import sys
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motacli.cache import build_cache
from motacli.contracts import ImageRef
from motacli.datasets import open_image, open_source, picture_exists, read_captions
from motacli.errors import DataError, UsageError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def png(shade: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write(path: Path, columns: dict[str, Any], **how: Any) -> Path:
    pq.write_table(pa.table(columns), path, **how)
    return path


def held(count: int, **more: Any) -> dict[str, Any]:
    """Columns with whole pictures, as Hugging Face's libraries write them; their paths may be equal."""
    pictures = [{"bytes": png(number), "path": "same.png"} for number in range(count)]
    return {"image": pictures, "caption": [f"caption {number}" for number in range(count)], **more}


# ---------------------------------------------------------------------------------------------- kinds of columns


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_paths(kind: str, tmp_path: Path) -> None:
    images = pa.array(["a/1.png", "2.png"])
    images = images.dictionary_encode() if kind == "dictionary" else images.cast(kind)
    path = write(
        tmp_path / "x.parquet", {"caption": [" one", "two"], "image": images, "n": [[1], [2]]}, row_group_size=1
    )
    source = open_source(path)
    assert len(source) == 2  # type: ignore[arg-type]
    for _ in range(2):
        rows = list(source)
        assert [(row.id, row.image.id, row.caption) for row in rows] == [
            ("a/1.png",) * 2 + ("one",),
            ("2.png",) * 2 + ("two",),
        ]
        assert rows[0].image == ImageRef("a/1.png", tmp_path / "a" / "1.png")
    assert read_captions(path) == ["one", "two"]


@pytest.mark.parametrize("kind", ["struct", "binary", "no statistics", "bytes alone"])
def test_pictures_inside_of_the_file(kind: str, tmp_path: Path) -> None:
    columns = held(50)
    if kind == "binary":
        columns["image"] = [picture["bytes"] for picture in columns["image"]]
    if kind == "bytes alone":
        columns["image"] = [{"bytes": picture["bytes"]} for picture in columns["image"]]
    statistics = kind != "no statistics"
    path = write(tmp_path / "train.parquet", columns, row_group_size=20, write_statistics=statistics)
    rows = list(open_source(path))
    assert [row.id for row in rows] == [f"train/{number}" for number in range(50)]
    assert rows[23].image == ImageRef("train/23", path, member="image/23") and rows[23].caption == "caption 23"
    assert all(picture_exists(row.image) for row in rows)
    order = [*range(50), *reversed(range(50)), 3, 49, 0, 21, 20, 19]
    assert [open_image(rows[number].image).getpixel((0, 0)) for number in order] == [(n, 0, 0) for n in order]


@pytest.mark.parametrize("statistics", [True, False])
def test_pictures_inside_and_outside(statistics: bool, tmp_path: Path) -> None:
    pictures = [{"bytes": png(9), "path": "a.png"}, {"bytes": None, "path": "b.png"}, None]
    columns = {"image": pictures, "caption": ["one", "two", "three"]}
    rows = iter(open_source(write(tmp_path / "x.parquet", columns, write_statistics=statistics)))
    assert next(rows).image == ImageRef("x/0", tmp_path / "x.parquet", member="image/0")
    assert next(rows).image == ImageRef("b.png", tmp_path / "b.png")
    with pytest.raises(DataError, match=r"x\.parquet: row 2: the image path is empty"):
        next(rows)


def test_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", held(3, id=[10, 11, 12], key=["a", "b", None], number=[0.5, 1, 2]))
    assert [row.id for row in open_source(path)] == ["10", "11", "12"]
    assert [row.id for row in open_source(path, id_column="")] == ["x/0", "x/1", "x/2"]
    with pytest.raises(DataError, match=r"x\.parquet: row 2: the id is empty"):
        list(open_source(path, id_column="key"))
    with pytest.raises(DataError, match=r"x\.parquet: row 0: the id is 0\.5, neither text nor a whole number"):
        list(open_source(path, id_column="number"))


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", held(2, **{"alt.text": ["eins", "zwei"], "thumb/nail": [png(7), png(8)]}))
    rows = list(open_source(path, "thumb/nail", "alt.text"))
    assert [row.caption for row in rows] == ["eins", "zwei"]
    assert [open_image(row.image).getpixel((0, 0)) for row in rows] == [(7, 0, 0), (8, 0, 0)]


def test_several_files_and_a_captions_file(tmp_path: Path) -> None:
    for name in ("train-0", "train-1"):
        write(tmp_path / f"{name}.parquet", held(2))
    source = open_source(tmp_path / "train-{0..1}.parquet")
    assert [row.id for row in source] == ["train-0/0", "train-0/1", "train-1/0", "train-1/1"]
    assert len(source) == 4  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"no pictures in this folder .*give the files"):
        open_source(tmp_path)
    write(tmp_path / "captions.parquet", {"image": ["a.png"], "caption": ["one"]})
    assert [row.id for row in open_source(tmp_path)] == ["a.png"]


@pytest.mark.parametrize("workers", [0, 3])
def test_a_feature_file_is_made_of_them(workers: int, tmp_path: Path, tiny_backbone: Any) -> None:
    path = write(tmp_path / "x.parquet", held(40), row_group_size=30)
    cache = build_cache(tmp_path / "f.h5", tiny_backbone, open_source(path), batch_size=8, workers=workers)
    plain = []
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(png(number))
        plain.append(ImageRef(str(number), tmp_path / f"{number}.png"))
    wanted = build_cache(tmp_path / "g.h5", tiny_backbone, plain, batch_size=8).features()
    assert np.allclose(cache.features(), wanted, atol=1e-5)


# ---------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"image": ["a", None], "caption": ["b", "c"]}, r"row 1: the image path is empty"),
        ({"image": ["a"], "caption": [None]}, r"row 0: the caption is None|row 0: the caption is empty"),
        ({"image": ["a"], "caption": [3]}, r"row 0: the caption is 3, not text"),
        ({"image": ["a"], "caption": [["b", "c"]]}, r"row 0: the caption is \['b', 'c'\], not text"),
        ({"image": [1], "caption": ["b"]}, r"column 'image' holds int64"),
        ({"image": [["a"]], "caption": ["b"]}, r"column 'image' holds list<"),
        ({"image": [{"path": "a"}], "caption": ["b"]}, r"column 'image' holds struct<path: string>"),
        ({"picture": ["a"], "caption": ["b"]}, r"no image column among 'picture', 'caption'"),
    ],
)
def test_cells_that_are_none(columns: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        list(open_source(write(tmp_path / "x.parquet", columns)))


def test_no_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": pa.array([], "string"), "caption": pa.array([], "string")})
    source = open_source(path)
    assert list(source) == [] and len(source) == 0  # type: ignore[arg-type]


def test_files_that_are_none(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.parquet", held(50), row_group_size=10).read_bytes()
    for name, content in {"none": b"", "text": b"image,caption\n", "half": whole[: len(whole) // 2]}.items():
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(content)
        source = open_source(path)
        for use in (list, len, lambda _, path=path: open_image(ImageRef("a", path, member="image/0"))):
            with pytest.raises(DataError, match=rf"{name}\.parquet cannot be read: "):
                use(source)  # type: ignore[operator]
    with pytest.raises(DataError, match="it is empty"):
        list(open_source(tmp_path / "none.parquet"))
    with pytest.raises(DataError, match="no such data set"):
        open_source(tmp_path / "gone.parquet")


def test_damage_in_the_middle(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", held(500, id=list(range(500))), compression="zstd", row_group_size=250)
    content = bytearray(path.read_bytes())
    at = pq.ParquetFile(path).metadata.row_group(1).column(2).data_page_offset
    content[at : at + 400] = b"\xff" * 400
    path.write_bytes(content)
    rows = iter(open_source(path))
    assert [next(rows).id for _ in range(250)] == [str(number) for number in range(250)]
    with pytest.raises(DataError, match=r"x\.parquet cannot be read: "):
        next(rows)


def test_pictures_that_are_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": [png(1), None, b"no picture"], "caption": ["a", "b", "c"]})
    for member in ("image/3", "image/1", "image/x", "image", "caption/0", "other/0", "/0"):
        with pytest.raises(DataError, match=r"has no picture"):
            open_image(ImageRef("a", path, member=member))
    with pytest.raises(DataError, match=r"cannot decode .*x\.parquet/image/2"):
        open_image(ImageRef("a", path, member="image/2"))
    with pytest.raises(DataError, match=r"no such file: .*gone\.parquet"):
        open_image(ImageRef("a", tmp_path / "gone.parquet", member="image/0"))
    with pytest.raises(DataError, match="no file that pictures are kept in"):
        open_image(ImageRef("a", tmp_path / "x.csv", member="image/0"))


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.parquet", held(1))
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"x\.parquet needs pyarrow \(pip install 'mota\[parquet\]'\)"):
        open_source(path)


# ---------------------------------------------------------------------------------------------- little at a time


def peak_of(path: Path, use: Any) -> tuple[int, int]:
    """Bytes held at most by Python and by Arrow on top of what they held before, while rows go by."""
    before, most = pa.total_allocated_bytes(), 0
    tracemalloc.start()
    try:
        for row in open_source(path):
            use(row)
            most = max(most, pa.total_allocated_bytes() - before)
        return tracemalloc.get_traced_memory()[1], most
    finally:
        tracemalloc.stop()


def test_a_large_file_is_never_held(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes
    path = tmp_path / "x.parquet"
    with pq.ParquetWriter(path, pa.schema({"image": pa.binary(), "caption": pa.string()})) as writer:
        captions = [f"a long caption {number} " * 20 for number in range(4000)]
        writer.write_table(pa.table({"image": [noise(20_000) for _ in captions], "caption": captions}))
    assert path.stat().st_size > 80e6 and pq.ParquetFile(path).num_row_groups == 1
    python, arrow = peak_of(path, lambda row: None)
    assert python < 3e6 and arrow < 5e6
    kept: list[bytes] = []
    from motacli.datasets import kept_bytes

    python, arrow = peak_of(path, lambda row: kept.append(kept_bytes(row.image)[:1]))
    assert len(kept) == 4000 and python < 3e6 and arrow < 60e6  # pages of 1,024 pictures, whatever is asked for
