"""JSON arrays, such as LLaVA's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import REPOSITORY

from motacli.datasets import json_array, open_source, read_captions
from motacli.datasets.json_array import json_entries
from motacli.errors import DataError


def entry(name: str, caption: str) -> dict[str, Any]:
    """An entry as LLaVA-CC3M-Pretrain-595K has them."""
    question = {"from": "human", "value": "Provide a brief description of the given image.\n<image>"}
    answer = {"from": "gpt", "value": caption}
    return {"id": name, "image": f"{name}.jpg", "conversations": [question, answer]}


ENTRIES = [entry("GCC_train_002582585", "olive oil is a healthy ingredient ."), entry("GCC_train_1", "é “quoted” \\ .")]


def write(folder: Path, value: object, name: str = "chat.json", **how: Any) -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value, **how), "utf-8")
    return path


# ---------------------------------------------------------------------------------------------- what LLaVA releases


@pytest.mark.parametrize("how", [{}, {"indent": 2}, {"ensure_ascii": False, "separators": (",", ":")}])
@pytest.mark.parametrize("given_file", [True, False])
def test_chat_json(given_file: bool, how: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES, **how)
    write(tmp_path, [{"image": "other.jpg", "caption": "not read"}], "metadata.json")
    source = open_source(path if given_file else tmp_path)
    for _ in range(2):
        rows = list(source)
        assert [row.id for row in rows] == ["GCC_train_002582585", "GCC_train_1"]
        assert [row.image.id for row in rows] == ["GCC_train_002582585.jpg", "GCC_train_1.jpg"]
        assert [row.caption for row in rows] == ["olive oil is a healthy ingredient .", "é “quoted” \\ ."]
        assert rows[0].image.path == tmp_path / "GCC_train_002582585.jpg"


def test_pictures_beside_it_or_in_a_folder(tmp_path: Path) -> None:
    write(tmp_path, ENTRIES)
    (tmp_path / "images").mkdir()
    assert [row.image.path.parent for row in open_source(tmp_path)] == [tmp_path / "images"] * 2
    (tmp_path / "GCC_train_002582585.jpg").touch()
    assert [row.image.path.parent for row in open_source(tmp_path)] == [tmp_path] * 2


def test_metadata_json_and_its_other_captions(tmp_path: Path) -> None:
    record = {
        "id": "GCC_train_1",
        "image": "GCC_train_1.jpg",
        "caption": "raw",
        "blip_caption": "blip",
        "url": "http://x",
    }
    path = write(tmp_path, [record], "metadata.json")
    assert [(row.id, row.caption) for row in open_source(path)] == [("GCC_train_1", "raw")]
    assert [row.caption for row in open_source(path, caption_column="blip_caption")] == ["blip"]
    assert read_captions(path, "blip_caption") == ["blip"]


def test_chat_json_and_a_captions_file_are_ambiguous(tmp_path: Path) -> None:
    write(tmp_path, ENTRIES)
    (tmp_path / "captions.csv").touch()
    with pytest.raises(DataError, match=r"captions\.csv and chat\.json"):
        open_source(tmp_path)


# ---------------------------------------------------------------------------------------------- mistakes

WHOLE = json.dumps(ENTRIES)
SECOND = WHOLE.index('{"id": "GCC_train_1"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "chat.json: empty file"),
        (" \n ", "chat.json: empty file"),
        ("[]", "chat.json: an empty array"),
        ('{"annotations": []}', "chat.json: not a JSON array"),
        ("[", "entry 0, line 1: the file is cut off"),
        ("[\n3]", "entry 0, line 2: '3' is no JSON object"),
        ("[[]]", "entry 0, line 1: '\\[' is no JSON object"),
        (WHOLE[:40], "entry 0, line 1: the file is cut off"),
        (WHOLE[: SECOND - 2], "entry 0, line 1: the file is cut off"),
        (WHOLE[:SECOND], "entry 1, line 1: the file is cut off"),
        (WHOLE[: SECOND + 30], "entry 1, line 1: the file is cut off"),
        (WHOLE[:-1], "entry 1, line 1: the file is cut off"),
        (WHOLE[:-1] + ",]", "entry 2, line 1: ']' is no JSON object"),
        (WHOLE.replace("}, {", "} {"), "entry 0.*: not valid JSON"),
        (WHOLE.replace("]}, {", "]}; {"), "entry 0, line 1: ';' follows it, not a comma"),
        (WHOLE + " []", "'\\[' follows the array"),
        (
            '[{"image": "a.jpg", "caption": "a"},\n\n {"image": x, "caption": "long enough"}]',
            "entry 1, line 3: not valid",
        ),
        ('[{"image": "a.jpg", "caption": ' + "[" * 200_000 + "]" * 200_000 + "}]", "entry 0, line 1: not valid JSON"),
        ('[{"image": "a.jpg", "caption": ' + "1" * 5000 + "}]", "entry 0, line 1: not valid JSON"),
        ('[{"image": "a.jpg"}]', "entry 0: no caption column among 'image'"),
        ('[{"image": "a.jpg", "caption": 1}]', "entry 0: the caption is 1, not text"),
        ('[{"id": "a", "conversations": [{"from": "gpt", "value": "a"}]}]', "entry 0: no image column"),
        ('[{"image": 1, "conversations": [{"from": "gpt", "value": "a"}]}]', "entry 0: the image path is 1, not text"),
        ('[{"image": "a.jpg", "conversations": [{"from": "human", "value": "a"}]}]', "entry 0: no text from 'gpt'"),
        ('[{"image": "a.jpg", "conversations": [{"from": "gpt", "value": " "}]}]', "entry 0: no text from 'gpt'"),
        ('[{"image": "a.jpg", "conversations": [{"from": "gpt"}]}]', "entry 0: no text from 'gpt'"),
        ('[{"image": "a.jpg", "conversations": []}]', "entry 0: no text from 'gpt'"),
        ('[{"image": "a.jpg", "conversations": "a"}]', "entry 0: 'conversations' is no list of turns"),
        ('[{"image": "a.jpg", "conversations": ["a"]}]', "entry 0: 'conversations' is no list of turns"),
    ],
)
def test_mistakes(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        list(open_source(write(tmp_path, text)))


def test_entries_after_the_first_are_looked_at_too(tmp_path: Path) -> None:
    broken = {"id": "x", "image": "x.jpg"}
    source = iter(open_source(write(tmp_path, [*ENTRIES, broken])))
    assert [next(source).id, next(source).id] == ["GCC_train_002582585", "GCC_train_1"]
    with pytest.raises(DataError, match="entry 2: no 'conversations' in this row"):
        next(source)


def test_what_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'[{"image": "caf\xe9.jpg", "caption": "a"}]')
    with pytest.raises(DataError, match=r"x\.json: not UTF-8 text"):
        list(open_source(path))


# ---------------------------------------------------------------------------------------------- bit by bit

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    array=st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=5),
    chunk=st.integers(1, 20),
    indent=st.sampled_from([None, 1, 12]),
    ascii_only=st.booleans(),
)
def test_every_array_is_read_as_by_json_itself(
    array: list[Any], chunk: int, indent: int | None, ascii_only: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    text = json.dumps(array, indent=indent, ensure_ascii=ascii_only)
    path.write_text(text, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "CHUNK", chunk)
        assert [record for _, record in json_entries(path)] == json.loads(path.read_text("utf-8"))


@settings(max_examples=100, deadline=None)
@given(kept=st.integers(1, len(WHOLE) - 1), chunk=st.integers(1, 20))
def test_a_file_cut_off_anywhere_is_an_error(kept: int, chunk: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.json"
    path.write_text(WHOLE[:kept], "utf-8")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DataError, match="the file is cut off"):
        patch.setattr(json_array, "CHUNK", chunk)
        list(json_entries(path))


def peak(rows: Iterable[Any], count: int) -> int:
    tracemalloc.start()
    try:
        assert sum(1 for _ in rows) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


PEAK = """
import sys, tracemalloc
from motacli.datasets import open_source
tracemalloc.start()
print(sum(1 for _ in open_source(sys.argv[1])), tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.parametrize("count", [30_000, pytest.param(100_000, marks=pytest.mark.thorough)])
def test_a_large_array_is_never_held(count: int, tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    caption = "a long caption " * 22
    with path.open("w") as file:
        for number in range(count):
            file.write("," if number else "[")
            json.dump(entry(f"GCC_train_{number}", caption), file)
        file.write("]")
    assert path.stat().st_size > 500 * count
    assert peak(json_entries(path), count) < 2e6
    # Most of this is Python's table of interned strings, which `Path` has grow and shrink: hence a process of its own.
    words = [sys.executable, "-c", PEAK, str(tmp_path)]
    done = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True
    )
    rows, most = map(int, done.stdout.split())
    assert rows == count and most < 300 * count


def test_a_string_without_end_does_not_take_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "LONGEST", 1 << 18)
    path = write(tmp_path, '[{"image": "a.jpg, ' + "x" * 3_000_000)
    with pytest.raises(DataError, match="entry 0, line 1: no end within"):
        list(open_source(path))
