"""Data sets of Hugging Face's library: saved to a folder, and by name through the library itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from motacli.contracts import ImageRef
from motacli.datasets import open_image, open_source, picture_exists
from motacli.datasets.hub import Address, is_hub, parse_address
from motacli.errors import DataError, MotaError, UsageError

datasets = pytest.importorskip("datasets")
pa = pytest.importorskip("pyarrow")


def shade(ref: ImageRef) -> int:
    return open_image(ref).getpixel((0, 0))[0]  # type: ignore[index]


@pytest.fixture
def pictures(tmp_path: Path) -> Any:
    """25 pictures with captions and ids, in shades of their numbers."""
    paths = []
    for number in range(25):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.new("RGB", (8, 6), (number, 0, 0)).save(paths[-1])
    captions = [f"caption {number}" for number in range(25)]
    columns = {"id": range(100, 125), "image": paths, "text": captions, "label": [0.5] * 25}
    return datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())


def embedded(rows: Any) -> Any:
    """The same with the pictures inside."""
    from datasets.table import embed_table_storage

    return rows.with_format("arrow").map(embed_table_storage, batched=True).with_format(None)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


# ---------------------------------------------------------------------------------------------- saved to a folder


def test_a_saved_data_set_with_its_pictures_inside(pictures: Any, tmp_path: Path) -> None:
    embedded(pictures).save_to_disk(tmp_path / "saved", num_shards=2)
    source = open_source(tmp_path / "saved")
    assert len(source) == 25  # type: ignore[arg-type]
    for _ in range(2):
        rows = list(source)
        assert [(row.id, row.caption) for row in rows] == [(str(100 + n), f"caption {n}") for n in range(25)]
    first, last = rows[0].image, rows[24].image
    assert (first.id, last.id) == ("data-00000-of-00002/0", "data-00001-of-00002/11")
    assert last.member == "image/11" and last.path == tmp_path / "saved" / "data-00001-of-00002.arrow"
    assert [shade(row.image) for row in reversed(rows)] == list(reversed(range(25)))
    assert all(picture_exists(row.image) for row in rows)


def test_a_saved_data_set_with_paths(pictures: Any, tmp_path: Path) -> None:
    pictures.save_to_disk(tmp_path / "saved")
    rows = list(open_source(tmp_path / "saved"))
    assert [shade(row.image) for row in rows] == list(range(25))
    text = datasets.Dataset.from_dict({"image": ["a.png"], "caption": ["one"]})
    text.save_to_disk(tmp_path / "text")
    (row,) = open_source(tmp_path / "text")
    assert row.image == ImageRef("a.png", tmp_path / "text" / "a.png")


def test_a_selection_is_saved_as_itself(pictures: Any, tmp_path: Path) -> None:
    embedded(pictures).select([7, 3]).save_to_disk(tmp_path / "saved")
    assert [(row.id, shade(row.image)) for row in open_source(tmp_path / "saved")] == [("107", 7), ("103", 3)]


def test_splits(pictures: Any, tmp_path: Path) -> None:
    splits = {"train": pictures.select(range(3)), "test": pictures.select(range(3, 5))}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "both")
    datasets.DatasetDict({"test": splits["test"]}).save_to_disk(tmp_path / "one")
    with pytest.raises(DataError, match=r"both holds the splits train, test \(give one, such as .*both/train\)"):
        open_source(tmp_path / "both")
    assert [row.id for row in open_source(tmp_path / "both" / "train")] == ["100", "101", "102"]
    assert [row.id for row in open_source(tmp_path / "one")] == ["103", "104"]


def test_folders_that_are_broken(pictures: Any, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    embedded(pictures).save_to_disk(folder)
    (arrow,) = folder.glob("*.arrow")
    whole, state = arrow.read_bytes(), (folder / "state.json").read_text()
    ref = next(iter(open_source(folder))).image
    for content in (b"", b"no arrow file", whole[: len(whole) // 2]):
        arrow.write_bytes(content)
        for use in (list, lambda source: open_image(ref)):
            with pytest.raises(DataError, match=r"\.arrow cannot be read"):
                use(open_source(folder))
    arrow.unlink()
    with pytest.raises(DataError, match=r"1 of 1 files of .*saved are missing, the first is .*\.arrow"):
        open_source(folder)
    for text, said in {
        "{": "not valid JSON",
        "[]": "not a JSON object",
        "{}": "no list of '_data_files'",
        '{"_data_files": [1]}': "no list of '_data_files'",
        '{"_data_files": []}': "lists none",
        json.dumps({**json.loads(state), "_indices_data_files": [{"filename": "x"}]}): "selection of rows in an old",
    }.items():
        (folder / "state.json").write_text(text)
        with pytest.raises(DataError, match=said):
            open_source(folder)
    (tmp_path / "dict").mkdir()
    for text, said in {"{}": "no list of 'splits'", '{"splits": ["a"]}': r"dict/a is no data set"}.items():
        (tmp_path / "dict" / "dataset_dict.json").write_text(text)
        with pytest.raises(DataError, match=said):
            open_source(tmp_path / "dict")


# ---------------------------------------------------------------------------------------------- by name


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hf-hub:owner/name", Address("owner/name")),
        ("hf://owner/name", Address("owner/name")),
        ("hf://datasets/owner/name?split=test", Address("owner/name", "test")),
        ("hf-hub:name?config=en&revision=v1&split=a%2Bb", Address("name", "a+b", "en", "v1")),
    ],
)
def test_addresses(text: str, wanted: Address) -> None:
    assert is_hub(text) and is_hub(Path(text))
    assert parse_address(text) == parse_address(str(Path(text))) == wanted
    assert parse_address(str(wanted)) == wanted or "+" in wanted.split


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hf-hub:", "names no data set"),
        ("hf-hub:?split=train", "names no data set"),
        ("hf-hub:a/b?spilt=train", "unknown part 'spilt' .*'split'"),
        ("hf-hub:a/b?split=", "'split' is empty"),
    ],
)
def test_addresses_that_are_none(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_source(text)


@pytest.mark.parametrize("inside", [True, False])
def test_parquet_files_through_the_library(inside: bool, pictures: Any, tmp_path: Path) -> None:
    (tmp_path / "repo" / "data").mkdir(parents=True)
    for part in range(2):
        rows = pictures.select(range(part * 10, part * 10 + 10))
        rows = embedded(rows) if inside else rows
        rows.to_parquet(tmp_path / "repo" / "data" / f"train-0000{part}-of-00002.parquet")
    embedded(pictures.select([24])).to_parquet(tmp_path / "repo" / "data" / "test-00000-of-00001.parquet")
    source = open_source(f"hf-hub:{tmp_path}/repo?split=train")
    for _ in range(2):
        found = list(source)
        assert [(row.id, row.caption) for row in found] == [(str(100 + n), f"caption {n}") for n in range(20)]
    assert found[11].image.id == "train/11" and found[11].image.member == "image/11"
    assert picture_exists(found[11].image)
    assert [shade(found[n].image) for n in (0, 19, 3)] == [0, 19, 3]
    (row,) = open_source(Path(f"hf-hub:{tmp_path}/repo?split=test"), id_column="")
    assert (row.id, shade(row.image)) == ("test/0", 24)
    with pytest.raises(DataError, match="has no picture"):
        open_image(ImageRef("a", found[0].image.path, member="image/20"))


def test_json_lines_through_the_library(tmp_path: Path) -> None:
    lines = [{"image": f"{n}.png", "caption": f"caption {n}", "more": {"a": n}} for n in range(5)]
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = list(open_source(f"hf-hub:{data}"))
    assert [(row.id, row.caption) for row in rows] == [(f"{n}.png", f"caption {n}") for n in range(5)]
    with pytest.raises(DataError, match="no column 'picture'"):
        list(open_source(f"hf-hub:{data}", "picture"))
    with pytest.raises(MotaError, match=r"could not read hf-hub:.*split=dev"):
        list(open_source(f"hf-hub:{data}?split=dev"))


def test_rows_that_break_off(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_text('{"image": "a.png", "caption": "one"}\n{"image": ')
    with pytest.raises(MotaError, match="could not read hf-hub:"):
        list(open_source(f"hf-hub:{data}"))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MotaError, match="could not read hf-hub:"):
        list(open_source(f"hf-hub:{tmp_path}/none"))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"needs datasets \(pip install 'mota\[hf-data\]'\)"):
        open_source("hf-hub:owner/name")
