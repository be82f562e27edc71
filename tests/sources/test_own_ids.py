"""Rows with ids of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motacli.cache import build_cache
from motacli.datasets import open_source
from motacli.errors import DataError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


FILES = [
    ("x.csv", "id,image,caption\nr1, a.png,one\n 2 ,b.png,two\n"),
    ("x.tsv", "image\tcaption\tID\n a.png\tone\tr1\nb.png\ttwo\t2\n"),
    ("x.jsonl", '{"image": " a.png", "caption": "one", "id": "r1"}\n{"id": 2, "image": "b.png", "caption": "two"}\n'),
    ("x.json", '[{"image": " a.png", "caption": "one", "id": "r1"}, {"id": 2, "image": "b.png", "caption": "two"}]'),
]


@pytest.mark.parametrize(("name", "text"), FILES)
def test_a_column_of_ids(name: str, text: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, text)
    assert [(row.id, row.image.id) for row in open_source(path)] == [("r1", " a.png"), ("2", "b.png")]
    assert [row.id for row in open_source(path, id_column="")] == [" a.png", "b.png"]
    assert [row.id for row in open_source(path, id_column="caption")] == ["one", "two"]
    with pytest.raises(DataError, match="no column 'key'"):
        list(open_source(path, id_column="key"))


def test_without_one_it_is_the_picture(tmp_path: Path) -> None:
    (row,) = open_source(write(tmp_path, "x.csv", "image,caption\na.png,one\n"))
    assert row.id == row.image.id == "a.png"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.csv", "id,image,caption\n1,a.png,one\n ,b.png,two\n", r"x\.csv:3: the id is empty"),
        ("x.jsonl", '{"image": "a.png", "caption": "one", "id": null}', r"x\.jsonl:1: the id is empty"),
        ("x.jsonl", '{"image": "a.png", "caption": "one", "id": true}', r"x\.jsonl:1: the id is True, neither"),
        ("x.jsonl", '{"image": "a.png", "caption": "one", "id": 1.5}', r"x\.jsonl:1: the id is 1\.5, neither"),
        ("x.jsonl", '{"image": "a.png", "caption": "one", "id": [1]}', r"x\.jsonl:1: the id is \[1\], neither"),
        (
            "x.jsonl",
            '{"image": "a.png", "caption": "one", "id": 1}\n{"image": "b.png", "caption": "two"}',
            r"x\.jsonl:2: no 'id' in this row",
        ),
    ],
)
def test_ids_that_are_none(name: str, text: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(DataError, match=said):
        list(open_source(path))
    list(open_source(path, id_column=""))


def test_a_feature_file_keeps_the_ids_of_pictures(tmp_path: Path, tiny_backbone: object) -> None:
    from PIL import Image

    lines = []
    for number in range(2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
        lines.append(json.dumps({"id": f"row {number}", "image": f"{number}.png", "caption": "a dot"}))
    source = open_source(write(tmp_path, "x.jsonl", "\n".join(lines)))
    assert build_cache(tmp_path / "f.h5", tiny_backbone, source).ids == ("0.png", "1.png")  # type: ignore[arg-type]
